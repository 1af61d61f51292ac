"""Tests of the send room."""

"""Tests of the derive room."""

"""Tests of the in-plane networks."""

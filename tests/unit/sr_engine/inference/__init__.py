"""Tests of the way from thick to thin."""

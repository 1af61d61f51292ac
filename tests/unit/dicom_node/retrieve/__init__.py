"""Asking and fetching, against PACSs that behave as scripted."""

"""Notices, to real receivers."""

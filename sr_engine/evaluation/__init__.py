"""Comparing restored volumes with what they came from: for people (panel)."""

"""Acceptance: real processes and real servers, the whole way."""

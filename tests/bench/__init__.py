"""Benches: run by hand with ``make bench-engine``; figures go to ``results``."""

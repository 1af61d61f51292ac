"""The console, by HTTP."""

"""The room with keys to the others: settings, wiring, steps, and every way to run them."""

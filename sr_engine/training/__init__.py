"""Learning weights from thin CT alone: thick slices are simulated, pairs drawn, a network fitted."""

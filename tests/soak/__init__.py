"""Everything at once, for as long as one likes: the production wiring under random kills, flushes and bounces."""

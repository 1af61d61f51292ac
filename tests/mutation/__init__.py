"""Whether the tests notice when a safeguard is taken away."""

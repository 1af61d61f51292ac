"""Networks that make thin slices from thick ones, all behind one contract."""

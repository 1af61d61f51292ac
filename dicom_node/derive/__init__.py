"""Makes results: attribute policy, pixels, data sets and other forms, conformance check, files."""

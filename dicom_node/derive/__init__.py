"""Makes derived CT series: attribute policy, pixels, data sets, conformance check, files."""

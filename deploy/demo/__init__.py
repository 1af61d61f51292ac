"""The demonstration behind `make demo`: a real node, a real PACS, one series all the way."""

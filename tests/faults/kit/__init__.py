"""What fault tests are made of: a bad network, a badly behaved PACS, a scanner that keeps count, and the invariants."""

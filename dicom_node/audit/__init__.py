"""The audit trail for those outside: followed and anchored, exported, and told to an audit repository (PS3.15 A.5)."""

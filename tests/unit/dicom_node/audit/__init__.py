"""The audit trail for those outside."""

"""The SQL ledger: the truth about every series, job and delivery. Only here is SQL written."""

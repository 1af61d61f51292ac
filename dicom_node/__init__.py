"""The DICOM side of the node: receive, judge, derive and send, with a SQL ledger. No torch, no queue, no web."""

"""Fetches series that a PACS has: asks what there is (C-FIND, QIDO-RS), and has it sent (C-GET, C-MOVE, WADO-RS)."""

"""Delivers derived series to a PACS and asks it what it holds: C-ECHO, C-STORE, C-FIND, Storage Commitment."""

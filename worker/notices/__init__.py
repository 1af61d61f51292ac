"""Notices: what is amiss is told by webhook and e-mail, without a word that a person, a PACS or a scanner wrote."""

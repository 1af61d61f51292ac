"""The door for scanners: a DICOM listener, and a spool that holds what it acknowledged."""

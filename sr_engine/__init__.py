"""The super-resolution engine: arrays and torch, no DICOM, no database. The door is ``inference.restore``."""

"""The series room."""

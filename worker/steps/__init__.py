"""The steps of the way as plain functions over a Node: judge, restore, deliver. No Celery here."""

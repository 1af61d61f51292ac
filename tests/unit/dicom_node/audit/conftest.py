"""A ledger on each database."""

from tests.unit.dicom_node.ledger.conftest import database, shared_postgres_url

__all__ = ["database", "shared_postgres_url"]

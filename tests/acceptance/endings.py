"""When every series that a node received has ended, and how."""

from dicom_node.ledger import queries, receipts
from tests.nodes import Node
from tests.waiting import until

# The states in which a job stays, where a PACS is there and answers queries.
ENDED = frozenset({"verified", "held", "skipped", "superseded"})


def wait_until_all_ended(node: Node, limit_s: float = 240.0) -> None:
    """Wait until all that the spool holds is in the ledger, and every job stays; AssertionError with the counts."""
    ledger = node.ledger()

    def look() -> bool:
        received = len(list((node.spool / "series").rglob("*.dcm")))
        states = {state for state, count in queries.counts(ledger).items() if count}
        return len(receipts.known_paths(ledger)) == received and states <= ENDED

    try:
        until("every series has ended", look, limit_s, every_s=0.2)
    except AssertionError as error:
        raise AssertionError(f"{error}; {queries.counts(ledger)}; log:\n{node.log.read_text()[-3000:]}") from None

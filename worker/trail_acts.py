"""What a person does with the audit trail itself, at the command line and on the console; each is a row of it too."""

from collections.abc import Iterator

from dicom_node.audit import check, export
from dicom_node.audit.anchors import Anchors
from dicom_node.audit.check import Told, Verdict
from dicom_node.audit.export import Form
from dicom_node.ledger import trail
from dicom_node.ledger.trail import Span
from worker.wiring import Node


def verify(node: Node, told: Told = lambda _seq: None) -> Verdict:
    """Follow the trail and its anchors, and enter what came of it."""
    verdict = check.verify(node.database, Anchors(node.settings.audit.anchors), told)
    if verdict.fault:
        trail.note(node.database, "audit.broken", row=verdict.fault.seq, reason=verdict.fault.sentence)
    else:
        trail.note(node.database, "audit.verified", rows=verdict.rows, anchors=verdict.anchors, hash=verdict.hash)
    return verdict


def export_rows(node: Node, span: Span, form: Form) -> Iterator[str]:
    """Enter that rows are taken along, then give them line by line."""
    trail.note(node.database, "audit.exported", first=span.first, last=span.last, form=form)
    return export.lines(trail.rows(node.database, span), form)

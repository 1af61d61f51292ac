"""Which DIMSE status answers which error (PS3.4 Table B.2-1, PS3.7 Annex C). The only place that knows."""

from dicom_node.errors import InputError, LedgerError, NodeError, RequestRefused, StorageError, UnreadableInstance

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110
# Of N-ACTION; the second and third are Failure Reasons of an instance too (PS3.3 C.14.1.1).
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
NO_SUCH_ACTION = 0x0123
NOT_AUTHORIZED = 0x0124
RESOURCE_LIMITATION = 0x0213

STORE_STATUS: dict[type[Exception], int] = {
    StorageError: OUT_OF_RESOURCES,
    UnreadableInstance: CANNOT_UNDERSTAND,
    InputError: DATA_SET_MISMATCH,
    NodeError: PROCESSING_FAILURE,
}


def store_status(error: Exception) -> int:
    """C-STORE response status for an error: that of its nearest ancestor in STORE_STATUS, else 0x0110."""
    for kind in type(error).__mro__:
        if kind in STORE_STATUS:
            return STORE_STATUS[kind]
    return PROCESSING_FAILURE


def action_status(error: Exception) -> int:
    """N-ACTION response status for an error (PS3.7 10.1.4.1.10). A ledger that is away: the requestor asks again."""
    if isinstance(error, RequestRefused):
        return error.status
    return RESOURCE_LIMITATION if isinstance(error, LedgerError) else PROCESSING_FAILURE

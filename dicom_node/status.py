"""Which DIMSE status answers which error (PS3.4 Table B.2-1, PS3.7 Annex C). The only place that knows."""

from dicom_node.errors import InputError, NodeError, StorageError, UnreadableInstance

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
PROCESSING_FAILURE = 0x0110

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

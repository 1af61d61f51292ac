"""A scanner: sends a folder of DICOM by C-STORE, as the files are."""

from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, _config
from pynetdicom.association import Association

from dicom_node.errors import DestinationError, InputError
from tests.nodes import SCANNER_AE


def find_images(folder: Path) -> list[Path]:
    """Every DICOM file below a folder that could be an image, in the order of its name."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    images = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_image(path)]
    if not images:
        raise InputError(f"{folder} holds no DICOM image: name a folder of .dcm files of one CT series")
    return images


def send(images: list[Path], host: str, port: int, called_ae: str, sent: Callable[[int], None]) -> list[str]:
    """Send the images over one association; returns a sentence for each that was refused.

    ``sent`` is told how many were answered so far. DestinationError where the node does not take the association or
    ends it.
    """
    _config.LOG_HANDLER_LEVEL = "none"
    data_sets = [dcmread(path, defer_size="1 KB") for path in images]
    entity = AE(SCANNER_AE)
    for class_uid, syntax in sorted({(item.SOPClassUID, item.file_meta.TransferSyntaxUID) for item in data_sets}):
        entity.add_requested_context(class_uid, syntax)
    association = entity.associate(host, port, ae_title=called_ae)
    if not association.is_established:
        raise DestinationError(f"the node does not accept an association on {host}:{port}")
    refused = []
    for number, data_set in enumerate(data_sets, 1):
        reason = _refusal(association, data_set)
        refused += [f"{images[number - 1].name}: {reason}"] if reason else []
        sent(number)
    association.release()
    return refused


def _refusal(association: Association, data_set: FileDataset) -> str:
    try:
        answer = association.send_c_store(data_set)
    except ValueError as error:  # no context was accepted for this class and transfer syntax
        return str(error)
    except RuntimeError as error:
        raise DestinationError("the association ended before all images were sent") from error
    if "Status" not in answer:
        raise DestinationError("the association ended before all images were sent")
    return "" if answer.Status == 0 else f"status 0x{answer.Status:04X}"


def _is_image(path: Path) -> bool:
    try:
        return "SOPClassUID" in dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    except (InvalidDicomError, OSError, ValueError, EOFError):
        return False

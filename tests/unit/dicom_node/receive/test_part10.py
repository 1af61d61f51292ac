"""What is read of one instance at the door."""

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.errors import UnreadableInstance
from dicom_node.receive.part10 import Identity, encode_file, read_file, read_identity, split_file
from dicom_node.uid import IMPLEMENTATION_CLASS_UID
from tests.unit.dicom_node.receive.harness import ct_slice, encoded


def identity_of(syntax: str) -> Identity:
    slice_ = ct_slice()
    return Identity(CTImageStorage, slice_.SOPInstanceUID, slice_.StudyInstanceUID, slice_.SeriesInstanceUID, syntax)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_the_four_uids_are_read_in_every_byte_order(syntax: UID):
    assert read_identity(encoded(ct_slice(), syntax), syntax) == identity_of(syntax)


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_or_empty_uid_is_named(keyword: str, value: str | None):
    with pytest.raises(UnreadableInstance, match=f"^{keyword} is missing or empty"):
        read_identity(encoded(ct_slice(**{keyword: value})), ExplicitVRLittleEndian)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("value", ["../../../etc/passwd", "1.2\\3.4", "1.2\0.3", "1." * 33, "<script>"])
def test_a_uid_that_is_none_is_refused_and_not_repeated(value: str):
    with pytest.raises(UnreadableInstance, match="SeriesInstanceUID is not a UID") as refusal:
        read_identity(encoded(ct_slice(SeriesInstanceUID=value)), ExplicitVRLittleEndian)
    assert value not in str(refusal.value)


def test_a_cut_at_any_byte_before_the_last_pixel_is_noticed():
    whole = encoded(ct_slice())
    read_identity(whole, ExplicitVRLittleEndian)
    for length in range(len(whole)):
        with pytest.raises(UnreadableInstance):
            read_identity(whole[:length], ExplicitVRLittleEndian)


def test_a_data_set_without_pixels_is_refused():
    with pytest.raises(UnreadableInstance, match="before PixelData"):
        read_identity(encoded(ct_slice(PixelData=None)), ExplicitVRLittleEndian)


def test_noise_is_refused():
    with pytest.raises(UnreadableInstance):
        read_identity(bytes(range(256)) * 40, ExplicitVRLittleEndian)


@pytest.mark.parametrize("closed", [True, False])
def test_sequences_nested_a_hundred_thousand_deep_are_refused(closed: bool):
    """Each level costs a parser a frame of its stack; what no scanner sends must not end the process."""
    depth, undefined = 100_000, b"\xff\xff\xff\xff"
    opening = b"\x08\x00\x40\x11SQ\0\0" + undefined + b"\xfe\xff\x00\xe0" + undefined
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    whole = encoded(ct_slice())
    pixels = whole.index(b"\xe0\x7f\x10\x00")
    bomb = whole[:pixels] + opening * depth + (closing * depth if closed else b"") + whole[pixels:]
    with pytest.raises(UnreadableInstance):
        read_identity(bomb, ExplicitVRLittleEndian)


def test_the_file_made_is_part_10_with_our_name_and_the_senders(tmp_path: Path):
    data_set = encoded(ct_slice(), ImplicitVRLittleEndian)
    content = encode_file(
        data_set,
        sop_class_uid=CTImageStorage,
        sop_instance_uid=ct_slice().SOPInstanceUID,
        transfer_syntax_uid=ImplicitVRLittleEndian,
        calling_ae="SCANNER",
    )
    path = tmp_path / "slice.dcm"
    path.write_bytes(content)
    read = dcmread(path)
    assert content[:132] == bytes(128) + b"DICM"
    assert content.endswith(data_set)
    assert read.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert read.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
    assert read.PixelData == ct_slice().PixelData
    assert read_file(path) == (identity_of(ImplicitVRLittleEndian), "SCANNER")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_file_is_split_where_its_data_set_begins(syntax: UID) -> None:
    data_set = encoded(ct_slice(), syntax)
    names = {"sop_class_uid": "1.2", "sop_instance_uid": "1.2.3", "calling_ae": "CT1"}
    meta, body = split_file(encode_file(data_set, transfer_syntax_uid=syntax, **names))
    assert (body, meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID) == (data_set, syntax, "1.2.3")


def test_what_is_no_file_is_not_split() -> None:
    with pytest.raises(UnreadableInstance, match="DICM is missing"):
        split_file(encoded(ct_slice()))

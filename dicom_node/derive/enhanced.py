"""The thin slices as one multi-frame image: Legacy Converted Enhanced CT Image Storage (PS3.3 A.70)."""

from io import BytesIO

import highdicom as hd
from pydicom.dataset import Dataset

from dicom_node.derive.dataset import reference
from dicom_node.derive.form import FormSource, finish
from dicom_node.derive.inherit import UNPAIRED
from dicom_node.derive.pixels import stored_values
from dicom_node.uid import derived_uid, instance_uid

# PS3.3 C.8.16.1: an enhanced image is PRIMARY; what SECONDARY says of a slice is in the fourth value.
FRAME_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
# Type 1C and 2C (PS3.3 C.7.3.1, C.8.15.2): as the slices have them, rather than as highdicom counts or forgets.
AS_THE_SLICES = (
    "Laterality",
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)


def enhanced_image(source: FormSource) -> Dataset:
    """One image whose frames are the thin slices. Its pixels are a stream, so that they are in memory once.

    It names the classic slices that it was converted from, whether these leave the node or not.
    """
    arguments = source.arguments("enhanced")
    slices = [_with_sided_anatomy(header) for header in source.slices]
    image = hd.legacy.LegacyConvertedEnhancedCTImage(slices, **arguments, strict=True)
    _settle_frame_type(image)
    _settle_dimensions(image, derived_uid("dimensions", source.plan.job_key))
    _settle_references(image, source)
    for keyword in AS_THE_SLICES:
        image.pop(keyword, None)
        if keyword in source.plan.shared:
            image[keyword] = source.plan.shared[keyword]
    if "ContrastBolusAgent" not in source.plan.shared:
        image.pop("ContrastBolusAgent", None)  # highdicom writes it, empty, without a contrast medium
    finish(image, source, "enhanced")
    _settle_unassigned(image)
    image.add_new("PixelData", "OW", _pixels(image, source))
    return image


def _with_sided_anatomy(header: Dataset) -> Dataset:
    """A slice's header that says which side it shows (Frame Laterality, type 1), or else not what part of the body.

    The slices may name a paired part, such as a lung, without a side; a Frame Anatomy Sequence may not, and which side
    it is shall not be guessed (PS3.3 C.7.6.16.2.8).
    """
    sided = Dataset()
    sided.file_meta = header.file_meta
    sided.update(header)
    side = "U" if header.get("BodyPartExamined") in UNPAIRED else header.get("Laterality")
    if side:
        sided.FrameLaterality = side
    else:
        for keyword in ("BodyPartExamined", "AnatomicRegionSequence"):
            sided.pop(keyword, None)
    return sided


def _settle_frame_type(image: Dataset) -> None:
    image.ImageType = FRAME_TYPE
    image.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0].FrameType = FRAME_TYPE


def _settle_dimensions(image: Dataset, uid: str) -> None:
    """Highdicom's Dimension Organization UID is random."""
    for item in (*image.get("DimensionOrganizationSequence", ()), *image.get("DimensionIndexSequence", ())):
        item.DimensionOrganizationUID = uid


def _settle_unassigned(image: Dataset) -> None:
    """Highdicom repeats, as the slices' headers have it, what the image itself says: there without the patient."""
    shared = image.SharedFunctionalGroupsSequence[0]
    (rest,) = shared.get("UnassignedSharedConvertedAttributesSequence") or (Dataset(),)
    for keyword in [element.keyword for element in rest if element.keyword in image]:
        del rest[keyword]
    if not rest:
        shared.pop("UnassignedSharedConvertedAttributesSequence", None)


def _settle_references(image: Dataset, source: FormSource) -> None:
    """Highdicom lists references in the order of a set, and not the sources' series (0008,9154), type 1C."""
    for item in image.ReferencedSeriesSequence:
        item.ReferencedInstanceSequence = sorted(
            item.ReferencedInstanceSequence, key=lambda one: str(one.ReferencedSOPInstanceUID)
        )
    series = Dataset()
    series.SeriesInstanceUID = source.plan.source_series_uid
    series.ReferencedSOPSequence = [reference(one) for one in source.plan.sources]
    study = Dataset()
    study.StudyInstanceUID = source.plan.shared.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    image.SourceImageEvidenceSequence = [study]


def _pixels(image: Dataset, source: FormSource) -> BytesIO:
    """Stored values of all frames, in the order that highdicom gave them."""
    voxels = source.thin.volume.voxels
    index_of = {instance_uid(source.plan.job_key, index): index for index in range(len(voxels))}
    stream = BytesIO()
    for frame in image.PerFrameFunctionalGroupsSequence:
        uid = frame.ConversionSourceAttributesSequence[0].ReferencedSOPInstanceUID
        stream.write(stored_values(voxels[index_of[uid]]).astype("<i2").tobytes())
    stream.seek(0)
    return stream

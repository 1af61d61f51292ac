"""The notice on the picture: a Grayscale Softcopy Presentation State (PS3.3 A.33.1), which viewers lay over images."""

import highdicom as hd
from highdicom import pr
from pydicom.dataset import Dataset

from dicom_node.derive.form import FormSource, finish
from dicom_node.derive.pixels import RESCALE_INTERCEPT, RESCALE_SLOPE
from dicom_node.derive.plan import PROGRAM

LAYER = "NOTICE"
# Of the displayed area: a strip along its top.
STRIP = (0.0, 0.0, 1.0, 0.05)


def notice_text(*, learned: bool) -> str:
    """What is written over the images. Interpolation is not called AI."""
    return f"{'AI-derived' if learned else 'Interpolated'} thin slices - not for primary diagnosis"


def notice(source: FormSource) -> Dataset:
    """Text and window over all derived images."""
    shared, images = source.plan.shared, source.images
    layer = pr.GraphicLayer(LAYER, order=1, description="Origin of the images")
    text = pr.TextObject(
        notice_text(learned=source.thin.model.learned),
        units=pr.AnnotationUnitsValues.DISPLAY,
        bounding_box=STRIP,
        text_justification=pr.TextJustificationValues.LEFT,
    )
    window = pr.SoftcopyVOILUTTransformation(_first(shared, "WindowCenter"), _first(shared, "WindowWidth"))
    state = pr.GrayscaleSoftcopyPresentationState(
        referenced_images=images,
        **source.arguments("notice"),
        manufacturer=PROGRAM,
        manufacturer_model_name=PROGRAM,
        software_versions=shared.SoftwareVersions,
        device_serial_number=shared.DeviceSerialNumber,
        content_label=LAYER,
        content_description=notice_text(learned=source.thin.model.learned),
        graphic_annotations=[pr.GraphicAnnotation(images, layer, text_objects=[text])],
        graphic_layers=[layer],
        modality_lut_transformation=hd.ModalityLUTTransformation(
            rescale_intercept=float(RESCALE_INTERCEPT), rescale_slope=float(RESCALE_SLOPE), rescale_type="HU"
        ),
        voi_lut_transformations=[window],
    )
    # Pixels need not be square: their size in mm (1C) in place of highdicom's ratio of 1:1.
    area = state.DisplayedAreaSelectionSequence[0]
    del area.PresentationPixelAspectRatio
    area.PresentationPixelSpacing = shared.PixelSpacing
    # highdicom does not copy these; without a body part that is known to be unpaired Laterality is due (C.7.3.1, 2C).
    for keyword in ("BodyPartExamined", "Laterality"):
        if keyword in shared:
            state[keyword] = shared[keyword]
    return finish(state, source, "notice")


def _first(shared: Dataset, keyword: str) -> float:
    """The window that viewers open with: a presentation state has one."""
    element = shared[keyword]
    return float(element.value[0] if element.VM > 1 else element.value)

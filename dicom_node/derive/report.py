"""What was done and how well, for programs: Comprehensive 3D SR by template TID 1500 (PS3.3 A.35.13, PS3.16)."""

import highdicom as hd
from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from dicom_node.derive.form import FormSource, finish, observer
from dicom_node.derive.plan import NOTICE, PROGRAM
from dicom_node.uid import derived_uid
from sr_engine.volume import ThinVolume

SCHEME = "99THINSLICE"
_HU, _MM, _PERCENT, _ONE = (
    hd.sr.CodedConcept(value, "UCUM", meaning)
    for value, meaning in (("[hnsf'U]", "Hounsfield unit"), ("mm", "mm"), ("%", "%"), ("1", "no units"))
)


def _own(value: str, meaning: str) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept(value, SCHEME, meaning)


# Each figure of the self-check with its concept and UCUM unit. DICOM has codes for the range alone.
FIGURES = {
    "mean_offset_hu": (_own("MEAN_OFFSET", "Mean difference from source"), _HU),
    "rms_error_hu": (_own("RMS_ERROR", "Root mean square difference from source"), _HU),
    "max_slice_offset_hu": (_own("SLICE_OFFSET", "Largest mean difference of one slice from source"), _HU),
    "lung_offset_hu": (_own("LUNG_OFFSET", "Mean difference from source in lung"), _HU),
    "network_rms_hu": (_own("NETWORK_RMS", "Root mean square difference before data consistency"), _HU),
    "minimum_hu": (sr.CodedConcept.from_code(codes.DCM.MinimumAttenuationCoefficient), _HU),
    "maximum_hu": (sr.CodedConcept.from_code(codes.DCM.MaximumAttenuationCoefficient), _HU),
    "roughness_ratio": (_own("ROUGHNESS", "Slice-to-slice roughness relative to linear interpolation"), _ONE),
    "laa950_percent": (_own("LAA950", "Lung below -950 HU"), _PERCENT),
    "source_laa950_percent": (_own("SOURCE_LAA950", "Lung below -950 HU in the source"), _PERCENT),
}


def report(source: FormSource) -> Dataset:
    """Which model restored the series, with what settings, and what comparing it with its source found."""
    thin = source.thin
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid("tracking", source.plan.job_key), identifier="Reconstruction 1"
        ),
        algorithm_id=_algorithm(thin),
        measurements=_measurements(thin),
        source_images=[
            sr.SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID) for image in source.images
        ],
    )
    group[0].ContentSequence.append(_comment(source))
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer(source.plan)),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=[group],
    )
    scheme = CodingSchemeIdentificationItem(SCHEME, name=f"Codes of {PROGRAM}", responsible_organization=PROGRAM)
    document = sr.Comprehensive3DSR(
        evidence=source.images,
        content=content,
        **source.arguments("report"),
        manufacturer=PROGRAM,
        is_complete=True,
        coding_schemes=[scheme],
    )
    return finish(document, source, "report")


def _algorithm(thin: ThinVolume) -> sr.AlgorithmIdentification:
    """TID 4019. Interpolation has no family: it is no artificial intelligence, and CID 7162 has nothing that fits."""
    model = thin.model
    consistent = thin.check.network_rms_hu is not None
    return sr.AlgorithmIdentification(
        name=model.title,
        version=model.version,
        parameters=[
            f"network: {model.name}",
            f"digest of weights and configuration: sha256 {model.digest}",
            f"thin slices for each thick step: {thin.ratio}",
            f"data consistency: {'yes' if consistent else 'no'}",
        ],
        family=codes.DCM.ArtificialIntelligence if model.learned else None,
        manufacturer=PROGRAM,
    )


def _measurements(thin: ThinVolume) -> list[sr.Measurement]:
    found = [
        sr.Measurement(concept, round(value, 4), unit)
        for keyword, (concept, unit) in FIGURES.items()
        if (value := getattr(thin.check, keyword)) is not None
    ]
    volume = thin.volume
    spacing = sr.Measurement(codes.DCM.SpacingBetweenSlices, round(volume.spacing_mm[0], 4), _MM)
    return [spacing, sr.Measurement(codes.DCM.SliceThickness, round(volume.slice_thickness_mm, 4), _MM), *found]


def _comment(source: FormSource) -> sr.TextContentItem:
    """The derivation in words, which end with the notice."""
    text = str(source.plan.shared.DerivationDescription)
    return sr.TextContentItem(
        name=codes.DCM.Comment,
        value=text if NOTICE in text else f"{text} {NOTICE}",
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )

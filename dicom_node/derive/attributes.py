"""The attribute policy: ONE table that says what becomes of every attribute of a derived CT image, and why.

What the table does not name is dropped, so nothing unknown, private or stale can leave (promise P6).
``docs/attributes.md`` is made from it: ``python -m dicom_node.derive.attributes > docs/attributes.md``.
Clauses are of DICOM PS3.3.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """What becomes of an attribute."""

    COPIED = "copied"
    COPIED_IF_EQUAL = "copied if equal in all sources"
    STRICTEST = "strictest of all sources"
    REPLACED = "replaced"
    GENERATED = "generated"
    DROPPED = "dropped"


@dataclass(frozen=True)
class Rule:
    """One row. ``type`` is PS3.5 7.4's: 1 must have a value, 2 must be present, 3 may be absent or is conditional."""

    keyword: str
    action: Action
    type: int
    clause: str
    why: str


def _rows(action: Action, clause: str, why: str, *, one: str = "", two: str = "", three: str = "") -> Iterator[Rule]:
    for kind, keywords in ((1, one), (2, two), (3, three)):
        for keyword in keywords.split():
            yield Rule(keyword, action, kind, clause, why)


TABLE: tuple[Rule, ...] = (
    *_rows(
        Action.COPIED,
        "C.7.1.1 Patient",
        "the same patient",
        two="PatientName PatientID PatientBirthDate PatientSex",
        three="IssuerOfPatientID TypeOfPatientID PatientBirthTime OtherPatientNames EthnicGroup PatientComments "
        "PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence",
    ),
    *_rows(
        Action.COPIED,
        "C.7.2.1 General Study",
        "the derived series joins the source's study",
        one="StudyInstanceUID",
        two="StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber",
        three="StudyDescription PhysiciansOfRecord ProcedureCodeSequence",
    ),
    *_rows(
        Action.COPIED,
        "C.7.2.2 Patient Study",
        "the same visit",
        three="AdmittingDiagnosesDescription PatientAge PatientSize PatientWeight PatientSexNeutered Occupation "
        "AdditionalPatientHistory Allergies MedicalAlerts PregnancyStatus",
    ),
    *_rows(
        Action.COPIED,
        "C.7.1.3, C.7.2.3 Clinical Trial",
        "whole or not at all: without sponsor, protocol and subject it would break its module",
        three="ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID "
        "ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID ClinicalTrialTimePointID "
        "ClinicalTrialTimePointDescription",
    ),
    *_rows(
        Action.COPIED,
        "C.7.4.1 Frame of Reference",
        "the same space, so viewers link and fuse both series",
        one="FrameOfReferenceUID",
        two="PositionReferenceIndicator",
    ),
    *_rows(
        Action.COPIED,
        "C.7.3.1 General Series",
        "the same body in the same position",
        two="PatientPosition",
        three="AnatomicalOrientationType",
    ),
    *_rows(
        Action.COPIED_IF_EQUAL,
        "C.7.3.1 General Series",
        "upper-cased; Laterality is present and empty unless the part is known to be unpaired (type 2C)",
        three="BodyPartExamined ProtocolName Laterality",
    ),
    *_rows(
        Action.COPIED_IF_EQUAL,
        "C.7.10.1 General Acquisition",
        "a thin slice between two acquisition times has none of its own",
        two="AcquisitionNumber",
        three="AcquisitionDate AcquisitionTime AcquisitionDateTime IrradiationEventUID AcquisitionUID",
    ),
    *_rows(
        Action.COPIED_IF_EQUAL,
        "C.8.2.1 CT Image",
        "how the source was acquired; what varies by slice is dropped",
        two="KVP",
        three="ScanOptions DataCollectionDiameter ReconstructionDiameter ConvolutionKernel FilterType FocalSpots "
        "GantryDetectorTilt TableHeight RotationDirection DistanceSourceToDetector DistanceSourceToPatient "
        "ExposureTime XRayTubeCurrent Exposure GeneratorPower RevolutionTime SingleCollimationWidth "
        "TotalCollimationWidth TableSpeed TableFeedPerRotation SpiralPitchFactor ExposureModulationType",
    ),
    *_rows(
        Action.COPIED_IF_EQUAL,
        "C.7.6.4 Contrast/Bolus",
        "the source's contrast medium is still in the picture; ContrastBolusAgent (type 2) joins the others",
        three="ContrastBolusAgent ContrastBolusRoute ContrastBolusVolume ContrastBolusTotalDose ContrastFlowRate "
        "ContrastFlowDuration ContrastBolusIngredient ContrastBolusIngredientConcentration",
    ),
    *_rows(
        Action.COPIED_IF_EQUAL,
        "C.7.6.1 General Image",
        "the same anatomy",
        three="AnatomicRegionSequence",
    ),
    *_rows(
        Action.COPIED_IF_EQUAL,
        "C.12.1 SOP Common",
        "every date and time of ours is written in this offset",
        three="TimezoneOffsetFromUTC LongitudinalTemporalInformationModified",
    ),
    *_rows(
        Action.STRICTEST,
        "C.7.6.1, C.12.1",
        "YES or 01 of any source is never lost; NO only where all sources say NO",
        three="BurnedInAnnotation RecognizableVisualFeatures SyntheticData",
    ),
    *_rows(
        Action.STRICTEST,
        "C.7.6.1.1.5 Lossy Image Compression",
        "01 if any source was ever lossy (flag or transfer syntax), with its ratio and method; else 00",
        one="LossyImageCompression",
        three="LossyImageCompressionRatio LossyImageCompressionMethod",
    ),
    *_rows(
        Action.REPLACED,
        "C.12.1 SOP Common",
        "new objects; UIDs follow from the job, so a retry makes the same ones; text is ASCII or UTF-8",
        one="SOPClassUID SOPInstanceUID SpecificCharacterSet",
        three="InstanceCreationDate InstanceCreationTime InstanceCreatorUID ContentQualification",
    ),
    *_rows(
        Action.REPLACED,
        "C.7.3.1 General Series",
        "a series of its own, marked as derived in its description; one date and time for all its slices",
        one="Modality SeriesInstanceUID",
        two="SeriesNumber",
        three="SeriesDate SeriesTime SeriesDescription",
    ),
    *_rows(
        Action.REPLACED,
        "C.7.5.1 General Equipment",
        "this program made the instance; the scanner moves into ContributingEquipmentSequence",
        two="Manufacturer",
        three="ManufacturerModelName DeviceSerialNumber SoftwareVersions",
    ),
    *_rows(
        Action.REPLACED,
        "C.7.6.1 General Image",
        "DERIVED, SECONDARY, AXIAL; what it was derived from and how; not for primary diagnosis",
        one="ImageType",
        two="InstanceNumber",
        three="ContentDate ContentTime ImageComments",
    ),
    *_rows(
        Action.GENERATED,
        "C.7.6.1, C.12.4 General Reference",
        "promise P9: a derived slice is always recognisable, and names the thick slices on either side",
        one="DerivationDescription DerivationCodeSequence SourceImageSequence",
    ),
    *_rows(
        Action.GENERATED,
        "C.12.2 Common Instance Reference",
        "the referenced slices' series",
        one="ReferencedSeriesSequence",
    ),
    *_rows(
        Action.GENERATED,
        "C.12.1 SOP Common",
        "the scanner (109101) and the model with its identity (109102, DeviceUID)",
        one="ContributingEquipmentSequence",
    ),
    *_rows(
        Action.REPLACED,
        "C.7.6.2 Image Plane",
        "the thin grid; in-plane geometry as in the source, positions exact where a thick slice lies",
        one="PixelSpacing ImageOrientationPatient ImagePositionPatient",
        two="SliceThickness",
        three="SpacingBetweenSlices SliceLocation",
    ),
    *_rows(
        Action.REPLACED,
        "C.7.6.3 Image Pixel, C.8.2.1 CT Image",
        "signed 16 bit Hounsfield units",
        one="SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit "
        "PixelRepresentation RescaleIntercept RescaleSlope PixelData",
        three="RescaleType",
    ),
    *_rows(
        Action.REPLACED,
        "C.11.2 VOI LUT",
        "the source's window where legal, else soft tissue and lung",
        three="WindowCenter WindowWidth WindowCenterWidthExplanation",
    ),
    *_rows(
        Action.DROPPED,
        "C.7.6.3, C.11.1, C.11.2",
        "true of the source's stored values, not of ours",
        three="SmallestImagePixelValue LargestImagePixelValue SmallestPixelValueInSeries LargestPixelValueInSeries "
        "PixelPaddingValue PixelPaddingRangeLimit ModalityLUTSequence VOILUTSequence RealWorldValueMappingSequence "
        "IconImageSequence",
    ),
    *_rows(
        Action.DROPPED,
        "C.8.2.1, C.8.15.3",
        "dose belongs to the acquisition: dose tools would count it twice",
        three="CTDIvol CTDIPhantomTypeCodeSequence ExposureInuAs ExposureInmAs WaterEquivalentDiameter "
        "EstimatedDoseSaving",
    ),
    *_rows(
        Action.DROPPED,
        "C.7.5.1 General Equipment",
        "the scanner's and its place's; kept in the scanner's item of ContributingEquipmentSequence",
        three="StationName InstitutionName InstitutionAddress InstitutionalDepartmentName GantryID "
        "DateOfLastCalibration TimeOfLastCalibration",
    ),
    *_rows(
        Action.DROPPED,
        "C.12.1 SOP Common",
        "signatures and histories of another instance",
        three="OriginalAttributesSequence DigitalSignaturesSequence MACParametersSequence "
        "EncryptedAttributesSequence ReferencedImageSequence",
    ),
    *_rows(
        Action.DROPPED,
        "C.7.3.1 General Series",
        "the technologist's work step, which ended before ours began",
        three="PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedProcedureStepEndDate "
        "PerformedProcedureStepEndTime PerformedProcedureStepDescription PerformedProcedureStepID "
        "ReferencedPerformedProcedureStepSequence RequestAttributesSequence OperatorsName PerformingPhysicianName",
    ),
)
RULES = {rule.keyword: rule for rule in TABLE}


def as_markdown() -> str:
    """The table as the page ``docs/attributes.md``."""
    lines = [
        "# What becomes of every attribute",
        "",
        "Made from `dicom_node/derive/attributes.py` by `python -m dicom_node.derive.attributes > docs/attributes.md`.",
        "Clauses are of DICOM PS3.3. An attribute that is not listed is dropped, and so are private attributes,",
        "overlays and curves. Values that break PS3.5 are trimmed, put into legal notation or left out, except names,",
        "identifiers and UIDs, which are never altered: the job then fails with the attribute's name.",
        "",
        "| attribute | becomes | type | clause | why |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {r.keyword} | {r.action.value} | {r.type} | {r.clause} | {r.why} |" for r in TABLE]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_markdown())

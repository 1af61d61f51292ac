"""What a derived series takes over from its source, as the table in ``attributes`` says."""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from dicom_node.derive.attributes import TABLE, Action, Rule
from dicom_node.derive.values import clean_value

# PS3.16 Annex L, as dciodvfy reads it: with these Laterality makes no sense and must be absent (C.7.3.1).
_UNPAIRED_TERMS = """
    ABDOMEN ABDOMENPELVIS AORTA BACK BLADDER BRAIN CEREBELLUM CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS
    CIRCLEOFWILLIS COCCYX COLON CORONARYARTERY CSPINE CTSPINE DUODENUM ESOPHAGUS FACE GALLBLADDER HEAD HEADNECK
    HEART ILEUM ILIUM JAW JEJUNUM LARYNX LIVER LSPINE LSSPINE MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST
    NECKCHESTABDOMEN NECKCHESTABDPELV NOSE PANCREAS PELVIS PENIS PHARYNX PROSTATE RECTUM SCALP SKULL SPINE SPLEEN
    SSPINE STERNUM STOMACH THYMUS THYROID TLSPINE TONGUE TRACHEA TSPINE URETER URETHRA UTERUS VAGINA VULVA
    WHOLEBODY
"""
UNPAIRED = frozenset(_UNPAIRED_TERMS.split())
_TRIAL = ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID")
_TRIAL_SUBJECT = ("ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID")
_TRIAL_TYPE_2 = ("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName")
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_LOSSY_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in ("50", "51", "81", "91", "93", "110", "112", "203")
)


def inherited_attributes(sources: Sequence[Dataset]) -> Dataset:
    """What a derived series takes over from its source: every attribute that the table copies, with legal values.

    Parameters
    ----------
    sources : sequence of Dataset
        All thick slices' data sets in stack order, with or without pixels; left unchanged and not shared.

    Raises
    ------
    InputError
        An identifier of the source breaks the standard.
    """
    heir = Dataset()
    for rule in TABLE:
        value = _inherited(rule, sources)
        if value is not None:
            setattr(heir, rule.keyword, value)
        elif rule.type == 2 and rule.action in (Action.COPIED, Action.COPIED_IF_EQUAL):
            setattr(heir, rule.keyword, None)
    _settle_lossy(heir, sources)
    _settle_laterality(heir)
    _settle_contrast(heir)
    _settle_trial(heir)
    _settle_identity(heir)
    return heir


def _inherited(rule: Rule, sources: Sequence[Dataset]) -> object:
    if rule.action is Action.COPIED:
        return clean_value(sources[0], rule.keyword)
    if rule.action is Action.COPIED_IF_EQUAL:
        first, *others = (clean_value(source, rule.keyword) for source in sources)
        return first if all(other == first for other in others) else None
    if rule.action is Action.STRICTEST and rule.keyword not in _LOSSY:
        flags = {clean_value(source, rule.keyword) for source in sources}
        return "YES" if "YES" in flags else "NO" if flags == {"NO"} else None
    return None


def _settle_lossy(heir: Dataset, sources: Sequence[Dataset]) -> None:
    lossy = [source for source in sources if _is_lossy(source)]
    heir.LossyImageCompression = "01" if lossy else "00"
    for keyword in _LOSSY[1:]:
        value = next((clean_value(source, keyword) for source in lossy), None)
        if value is not None:
            setattr(heir, keyword, value)


def _is_lossy(source: Dataset) -> bool:
    syntax = str(getattr(source, "file_meta", {}).get("TransferSyntaxUID", ""))
    return clean_value(source, "LossyImageCompression") == "01" or syntax in _LOSSY_SYNTAXES


def _settle_laterality(heir: Dataset) -> None:
    if heir.get("BodyPartExamined") in UNPAIRED:
        heir.pop("Laterality", None)
    elif "Laterality" not in heir:
        heir.Laterality = ""


def _settle_contrast(heir: Dataset) -> None:
    contrast = [rule.keyword for rule in TABLE if rule.clause == "C.7.6.4 Contrast/Bolus"]
    if any(keyword in heir for keyword in contrast) and "ContrastBolusAgent" not in heir:
        heir.ContrastBolusAgent = ""


def _settle_trial(heir: Dataset) -> None:
    whole = all(keyword in heir for keyword in _TRIAL) and any(keyword in heir for keyword in _TRIAL_SUBJECT)
    for rule in TABLE:
        if rule.clause == "C.7.1.3, C.7.2.3 Clinical Trial" and not whole and rule.keyword in heir:
            delattr(heir, rule.keyword)
    for keyword in _TRIAL_TYPE_2 if whole else ():
        if keyword not in heir:
            setattr(heir, keyword, "")
    if "ClinicalTrialTimePointDescription" in heir and "ClinicalTrialTimePointID" not in heir:
        heir.ClinicalTrialTimePointID = ""


def _settle_identity(heir: Dataset) -> None:
    """De-identified data must say how (C.7.1.1, type 1C)."""
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if heir.get("PatientIdentityRemoved") == "YES" and not any(keyword in heir for keyword in methods):
        heir.DeidentificationMethod = "Not stated by the source"

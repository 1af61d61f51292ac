"""UIDs that depend on nothing but what they name, so that every retry makes the same ones (PS3.5 B.2)."""

import re
from uuid import UUID, uuid5

NAMESPACE = UUID("3f0f0f1c-52a4-4c53-9d0c-0f7d7a6f6a2e")
IMPLEMENTATION_CLASS_UID = f"2.25.{NAMESPACE.int}"
IMPLEMENTATION_VERSION_NAME = "THINSLICE_0_1"
# What others send as one (PS3.5 9.1); leading zeros in a component are forbidden too, but scanners send them.
PLAIN_UID = re.compile(r"[0-9.]{1,64}")


def derived_uid(*parts: str) -> str:
    """UID under 2.25 that is a function of ``parts`` alone.

    pydicom's ``generate_uid(prefix=None, entropy_srcs=...)`` ignores the entropy; this does not.
    """
    return f"2.25.{uuid5(NAMESPACE, '|'.join(parts)).int}"


def series_uid(job_key: str) -> str:
    """SeriesInstanceUID of the series that a job makes."""
    return derived_uid("series", job_key)


def instance_uid(job_key: str, index: int) -> str:
    """SOPInstanceUID of thin slice ``index`` (0-based) of the series that a job makes."""
    return derived_uid("instance", job_key, str(index))


def form_series_uid(job_key: str, form: str) -> str:
    """SeriesInstanceUID of what goes with the slices of a job, or in their place: ``enhanced``, ``report`` ..."""
    return derived_uid("series", job_key, form)


def form_uid(job_key: str, form: str) -> str:
    """SOPInstanceUID of that form."""
    return derived_uid("instance", job_key, form)

"""Secrets of channels, read from their files for every message, so that a renewed one counts at once."""

from pathlib import Path

from dicom_node.errors import SettingsError


def secret_of(path: Path) -> str:
    """The content of a secret's file. SettingsError where it cannot be read or is empty."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the secret file {path} cannot be read") from error
    if not secret:
        raise SettingsError(f"the secret file {path} is empty")
    return secret

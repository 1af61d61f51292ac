"""Certificates for tests of TLS: a good one, and each kind that must not be believed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dicom_node.authority import Authority
from dicom_node.settings import TlsSettings

HOSTS = ["localhost", "127.0.0.1"]


@dataclass(frozen=True)
class Certificates:
    """A folder of certificates; every name has ``<name>.pem`` and ``<name>-key.pem``.

    ``node``, ``SCANNER``, ``OTHER`` and ``PACS`` are of the authority that is believed, ``expired`` too, but two days
    old and one day valid; ``foreign`` is of another authority.
    """

    folder: Path

    def of(self, name: str) -> TlsSettings:
        """What a program shows that goes by this certificate."""
        return TlsSettings(
            certificate=self.folder / f"{name}.pem",
            key=self.folder / f"{name}-key.pem",
            authorities=self.folder / "authority.pem",
        )


def make_certificates(folder: Path) -> Certificates:
    """Make them all."""
    now = datetime.now(UTC)
    past = now - timedelta(days=2)
    authority = Authority.new("test authority", past, days=10)
    authority.write(folder)
    for name in ("node", "SCANNER", "OTHER", "PACS"):
        authority.issue(folder, name, HOSTS, now, days=1)
    authority.issue(folder, "expired", HOSTS, past, days=1)
    Authority.new("test authority", past, days=10).issue(folder, "foreign", HOSTS, now, days=1)
    return Certificates(folder)

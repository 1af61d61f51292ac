"""[audit]: how the audit trail is anchored, and where else it goes."""

from pathlib import Path

from dicom_node.audit.settings import SyslogSettings
from dicom_node.settings import Table


class AuditSettings(Table):
    """[audit]: the audit trail outside the database."""

    anchors: Path = Path("var/audit-anchors")
    syslog: SyslogSettings | None = None

    def anchored(self, base: Path) -> "AuditSettings":
        """With relative paths taken from a folder."""
        files = ("certificate", "key", "authorities")
        syslog = self.syslog and self.syslog.model_copy(
            update={key: file and base / file for key in files for file in [getattr(self.syslog, key)]}
        )
        return self.model_copy(update={"anchors": base / self.anchors, "syslog": syslog})

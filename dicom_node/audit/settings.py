"""[audit.syslog]: where audit messages are sent."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from dicom_node.settings import Port, Table, TlsSettings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SyslogSettings(Table):
    """[audit.syslog]: the audit repository, by TLS; in the clear on this machine alone, to a relay that does TLS."""

    host: Annotated[str, StringConstraints(min_length=1)]
    port: Port = 6514
    transport: Literal["tls", "tcp", "udp"] = "tls"
    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None
    site: str = ""

    @property
    def tls(self) -> TlsSettings | None:
        """What we show and whom we believe; None where it goes in the clear."""
        if self.transport != "tls" or self.certificate is None or self.key is None or self.authorities is None:
            return None
        return TlsSettings(certificate=self.certificate, key=self.key, authorities=self.authorities)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.transport == "tls" and self.tls is None:
            raise ValueError('transport = "tls" needs certificate, key and authorities')
        if self.transport != "tls" and self.host not in LOOPBACK:
            raise ValueError(
                f'transport = "{self.transport}" is for a relay on this machine: use "tls" for {self.host}'
            )
        return self

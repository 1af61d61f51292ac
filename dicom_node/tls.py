"""TLS as PS3.15 B.12 asks for it: the BCP 195 profile (RFC 8996, RFC 9325), with certificates on both sides."""

import hashlib
import ssl
from pathlib import Path
from typing import Any

from dicom_node.errors import SettingsError
from dicom_node.settings import TlsSettings

# RFC 9325 4.2: forward secrecy and authenticated encryption; TLS 1.3 has no others.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """For a listener; peers must show a certificate of ``authorities``.

    Sessions are not resumed: every association shows its certificate anew, and an expired one is seen.

    Raises
    ------
    SettingsError
        A file is missing or is not what it should be; the sentence names it.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings)
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """For calling a PACS, which must show a certificate of ``authorities`` for the name we call it by.

    SettingsError as from `server_context`.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, settings)


def web_context(certificate: Path | None, key: Path | None, authorities: Path | None) -> ssl.SSLContext:
    """For calling a web service, each of the three where it is named; else its certificate is of a public authority.

    SettingsError as from `server_context`.
    """
    context = _profile(ssl.PROTOCOL_TLS_CLIENT)
    if certificate is not None and key is not None:
        _show(context, certificate, key)
    if authorities is not None:
        _believe(context, authorities)
    return context


def certificate_names(connection: ssl.SSLSocket) -> frozenset[str]:
    """What the peer's verified certificate may be called in settings: its names, and ``sha256:`` with its fingerprint.

    Names are those of its Subject Alternative Name and the Common Names of its subject.
    """
    certificate: Any = connection.getpeercert() or {}
    content = connection.getpeercert(binary_form=True) or b""
    alternative = [value for _, value in certificate.get("subjectAltName", ())]
    subject = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return frozenset([*alternative, *subject, f"sha256:{hashlib.sha256(content).hexdigest()}"])


def _context(protocol: int, settings: TlsSettings) -> ssl.SSLContext:
    context = _profile(protocol)
    _show(context, settings.certificate, settings.key)
    _believe(context, settings.authorities)
    return context


def _profile(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _must_exist("certificate", certificate)
    _must_exist("key", key)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"{certificate} and {key} are not a certificate and its key, both PEM: "
            f"{error.args[-1] if error.args else error}"
        ) from error


def _believe(context: ssl.SSLContext, authorities: Path) -> None:
    _must_exist("authorities", authorities)
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{authorities} holds no certificates of authorities in PEM") from error


def _must_exist(key: str, path: Path) -> None:
    if not path.is_file():
        raise SettingsError(
            f"the TLS file {path} ({key}) does not exist: name an existing one, or run `thinslice certs`"
        )

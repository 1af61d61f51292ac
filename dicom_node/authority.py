"""A certificate authority for trials: what a hospital's own would issue, for tests and a first evening with TLS."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


@dataclass(frozen=True)
class Authority:
    """Signs certificates. Its key stays in memory: what it signed can be used, and nothing more be signed."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str, now: datetime, days: float) -> "Authority":
        """A new one, valid from ``now`` for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), key, now, days).issuer_name(_name(name))
        basic = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return cls(key, basic.sign(key, hashes.SHA256()))

    def write(self, folder: Path) -> None:
        """Write ``authority.pem``, for whoever is to believe it."""
        _write(folder / "authority.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, folder: Path, name: str, hosts: list[str], now: datetime, days: float) -> None:
        """Write ``<name>.pem`` and ``<name>-key.pem``: a certificate of that name for these hosts, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(name), key, now, days).issuer_name(self.certificate.subject)
        named = x509.SubjectAlternativeName([_general(host) for host in hosts or [name]])
        extended = builder.add_extension(named, critical=False).add_extension(USES, critical=False)
        plain = extended.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        _write(
            folder / f"{name}-key.pem",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        certificate = plain.sign(self.key, hashes.SHA256())
        _write(folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: float
) -> x509.CertificateBuilder:
    valid = x509.CertificateBuilder().not_valid_before(now).not_valid_after(now + timedelta(days=days))
    return valid.subject_name(subject).public_key(key.public_key()).serial_number(x509.random_serial_number())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, content: bytes) -> None:
    """Keys are for their owner alone."""
    path.touch(mode=0o600)
    path.write_bytes(content)

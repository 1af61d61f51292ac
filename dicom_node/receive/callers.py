"""Who may send: an AE title alone proves nothing, so it is bound to addresses and certificates."""

import ssl
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from pynetdicom.association import Association

from dicom_node.settings import PeerSettings
from dicom_node.tls import certificate_names

Network = IPv4Network | IPv6Network


def refusal(peers: Sequence[PeerSettings], ae_title: str, address: str, certificate: frozenset[str] | None) -> str:
    """Why a caller is not one of ``peers``; empty when it is, or when there are none: then anyone may send.

    Parameters
    ----------
    certificate : frozenset of str or None
        What its verified certificate is called (`certificate_names`); None: it came without TLS.
    """
    called_so = [peer for peer in peers if peer.ae_title == ae_title]
    if not peers:
        return ""
    if not called_so:
        return "its AE title is in no [[receive.peers]]"
    from_there = [peer for peer in called_so if not peer.addresses or is_within(address, peer.addresses)]
    if not from_there:
        return f"[[receive.peers]] says that {ae_title} has other addresses"
    if any(not peer.certificates or _is_shown(peer, certificate) for peer in from_there):
        return ""
    if certificate is None:
        return f"[[receive.peers]] has certificates for {ae_title}, and it came without TLS"
    return f"[[receive.peers]] says that {ae_title} has another certificate"


def networks(peers: Sequence[PeerSettings]) -> tuple[Network, ...]:
    """Where callers may come from; empty: from anywhere, because some peer may."""
    if not all(peer.addresses for peer in peers):
        return ()
    return tuple(network for peer in peers for network in peer.addresses)


def plain_address(address: str) -> str:
    """An IP address without the network card that IPv6 may add, and without IPv4's disguise (::ffff:10.1.2.3)."""
    return address.partition("%")[0].removeprefix("::ffff:")


def is_within(address: str, allowed: Iterable[Network]) -> bool:
    """Whether an IP address lies in one of the networks."""
    return any(ip_address(address) in network for network in allowed)


def certificate_of(association: Association) -> frozenset[str] | None:
    """Names of the certificate that a requestor showed; None without TLS."""
    channel = association.dul.socket
    connection = channel.socket if channel is not None else None
    return certificate_names(connection) if isinstance(connection, ssl.SSLSocket) else None


def _is_shown(peer: PeerSettings, certificate: frozenset[str] | None) -> bool:
    return certificate is not None and not certificate.isdisjoint(peer.certificates)

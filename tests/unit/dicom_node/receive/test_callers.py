"""Who may send, by AE title, address and certificate: the rule alone."""

import pytest

from dicom_node.receive.callers import networks, plain_address, refusal
from dicom_node.settings import PeerSettings

CT1 = PeerSettings(ae_title="CT1", addresses=("10.1.2.3", "10.1.4.0/24"), certificates=("ct1.example.org",))
CT2 = PeerSettings(ae_title="CT2", addresses=("fd00::/8",))
SPARE = PeerSettings(ae_title="CT1", addresses=("10.9.9.9",))
SHOWN = frozenset(["ct1.example.org", "sha256:00"])


@pytest.mark.parametrize(
    ("ae_title", "address", "certificate", "reason"),
    [
        ("CT1", "10.1.2.3", SHOWN, ""),
        ("CT1", "10.1.4.77", SHOWN, ""),
        ("CT1", "10.9.9.9", None, ""),  # the spare has no certificate yet
        ("CT2", "fd00::5", None, ""),
        ("CT2", "10.1.2.3", None, "has other addresses"),
        ("CT1", "10.1.5.1", SHOWN, "has other addresses"),
        ("CT1", "10.1.2.3", None, "it came without TLS"),
        ("CT1", "10.1.2.3", frozenset(["ct2.example.org"]), "has another certificate"),
        ("ct1", "10.1.2.3", SHOWN, "its AE title is in no [[receive.peers]]"),  # AE titles tell capitals apart
    ],
)
def test_a_caller_is_known_by_all_that_its_block_names(
    ae_title: str, address: str, certificate: frozenset[str] | None, reason: str
):
    said = refusal((CT1, CT2, SPARE), ae_title, address, certificate)
    assert reason in said
    assert bool(said) == bool(reason)


def test_without_peers_anyone_may_send():
    assert refusal((), "ANYONE", "192.0.2.1", None) == ""
    assert networks(()) == ()


def test_an_address_counts_before_reading_only_where_every_peer_has_some():
    assert [str(network) for network in networks((CT1, CT2))] == ["10.1.2.3/32", "10.1.4.0/24", "fd00::/8"]
    assert networks((CT1, PeerSettings(ae_title="ANY"))) == ()


@pytest.mark.parametrize(
    ("as_given", "plain"),
    [("10.1.2.3", "10.1.2.3"), ("::ffff:10.1.2.3", "10.1.2.3"), ("fe80::1%eth0", "fe80::1"), ("::1", "::1")],
)
def test_an_address_is_compared_without_its_disguise(as_given: str, plain: str):
    assert plain_address(as_given) == plain


@pytest.mark.parametrize("certificate", ["sha256:12", "SHA256:" + "zz" * 32])
def test_a_fingerprint_that_is_none_is_refused(certificate: str):
    with pytest.raises(ValueError, match="a fingerprint is sha256: and 64 hexadecimal digits"):
        PeerSettings(ae_title="CT1", certificates=(certificate,))

"""A notice is opened once, told once to each channel, and over when its cause is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from dicom_node.errors import StaleFence
from dicom_node.ledger import browse, channels, notices, overview, refusals, tallies
from dicom_node.ledger.browse import AuditFilter
from dicom_node.ledger.channels import ChannelClaim
from dicom_node.ledger.database import Database
from dicom_node.ledger.notices import Amiss
from dicom_node.records import Refusal
from tests.unit.dicom_node.ledger.rows import EVERYBODY_IS_GONE, NOBODY_IS_GONE, queue

DOWN = Amiss("destination_down", "main", "bad", "main does not answer.", "/partners")
HELD = Amiss("result_held", "", "warn", "1 held", "/series?state=held")
OWNER, OTHER = "host/boot/1/1", "host/boot/2/1"
KINDS = ("destination_down", "result_held")


def take(database: Database, owner: str = OWNER, per_hour: int = 10) -> ChannelClaim | None:
    return channels.claim(database, "chat", owner, 60, NOBODY_IS_GONE, per_hour)


def phases(
    database: Database, channel: str = "chat", repeat_s: float = 3600, kinds: Sequence[str] = KINDS
) -> list[str]:
    return [item.phase for item in notices.untold(database, channel, kinds, repeat_s)]


def tell(database: Database) -> None:
    claim = take(database)
    assert claim
    channels.sent(database, claim, notices.untold(database, "chat", KINDS, 3600), "")


def events(database: Database) -> list[str]:
    return [row.event for row in browse.audit_page(database, AuditFilter())]


def test_it_is_opened_once_told_once_and_over_once(database: Database) -> None:
    assert notices.note(database, [DOWN]) == 1
    assert notices.note(database, [DOWN]) == 0
    assert phases(database) == phases(database, "mail") == ["new"]
    tell(database)
    assert phases(database) == []
    assert phases(database, "mail") == ["new"]
    assert notices.note(database, []) == 1
    assert phases(database) == ["over"]
    assert phases(database, "mail") == []  # what is over before it could be told is not
    tell(database)
    assert phases(database) == []
    assert notices.note(database, [DOWN]) == 1
    assert phases(database) == ["new"]
    assert events(database).count("notice.opened") == 2


def test_what_is_bad_and_lasts_is_told_again_and_what_happened_anew(database: Database) -> None:
    first = overview.now(database)
    held = replace(HELD, latest_at=first)
    notices.note(database, [DOWN, held])
    tell(database)
    assert phases(database, repeat_s=0) == []
    assert phases(database, repeat_s=1e-6) == ["still"]
    notices.note(database, [DOWN, replace(held, sentence="2 held", latest_at=first + timedelta(seconds=1))])
    (again,) = notices.untold(database, "chat", KINDS, 0)
    assert (again.phase, again.notice.sentence, again.id) == ("again", "2 held", "2-2")
    assert phases(database, kinds=["result_held"]) == ["again"]
    assert phases(database, kinds=["destination_down"]) == []


def test_a_channel_is_claimed_by_one_alone_until_its_owner_is_gone(database: Database) -> None:
    notices.note(database, [DOWN])
    claim = take(database)
    assert claim
    assert take(database, OTHER) is None
    stolen = channels.claim(database, "chat", OTHER, 60, EVERYBODY_IS_GONE, 10)
    assert stolen
    with pytest.raises(StaleFence):
        channels.sent(database, claim, [], "")
    channels.sent(database, stolen, notices.untold(database, "chat", KINDS, 0), "1 new")
    with pytest.raises(StaleFence):
        channels.failed(database, stolen, "sent already", 0)
    assert [item.summary for item in channels.messages(database)] == ["1 new"]


def test_a_failure_is_tried_later_and_audited_once(database: Database) -> None:
    for number in range(2):
        claim = take(database)
        assert claim
        assert claim.attempt == number
        channels.failed(database, claim, "nobody is there", -1)
    assert [(item.attempt, item.reason) for item in channels.failing(database)] == [(2, "nobody is there")]
    claim = take(database)
    assert claim
    channels.failed(database, claim, "nobody is there", 3600)
    assert take(database) is None
    assert events(database).count("notice.unsent") == 1


def test_only_so_many_messages_go_out_in_an_hour(database: Database) -> None:
    for _ in range(2):
        claim = take(database, per_hour=2)
        assert claim
        channels.sent(database, claim, [], "")
    assert take(database, per_hour=2) is None
    assert take(database, per_hour=3) is not None


def test_one_watches_until_it_lets_go_or_is_gone(database: Database) -> None:
    assert channels.hold(database, "watch", OWNER, 60, NOBODY_IS_GONE)
    assert channels.hold(database, "watch", OWNER, 60, NOBODY_IS_GONE)
    assert not channels.hold(database, "watch", OTHER, 60, NOBODY_IS_GONE)
    assert channels.hold(database, "watch", OTHER, 60, EVERYBODY_IS_GONE)
    channels.let_go(database, "watch", OTHER)
    assert channels.hold(database, "watch", OWNER, 60, NOBODY_IS_GONE)


def test_what_is_old_is_forgotten_and_what_lasts_is_not(database: Database) -> None:
    notices.note(database, [DOWN, HELD])
    tell(database)
    notices.note(database, [HELD])
    tell(database)
    notices.forget(database, 3600)
    assert (len(notices.ended(database)), len(channels.messages(database))) == (1, 2)
    notices.forget(database, -1)
    assert (notices.ended(database), channels.messages(database)) == ([], [])
    assert [item.kind for item in notices.lasting(database)] == ["result_held"]
    assert phases(database) == []


def test_what_happened_is_counted_on_from_where_it_was(database: Database) -> None:
    refusals.record(database, [Refusal("10.0.0.1", "X", "unknown", 3)])
    first = tallies.happened_since(database, tallies.Happened())
    assert (first.events, first.refused) == ({"association.refused": 1}, 3)
    assert tallies.happened_since(database, first) == first
    queue(database)
    refusals.record(database, [Refusal("10.0.0.1", "X", "unknown", 2)])
    counted = tallies.happened_since(database, first)
    assert (counted.events["association.refused"], counted.events["job.queued"], counted.refused) == (2, 1, 5)
    assert counted == tallies.happened_since(database, tallies.Happened())
    assert tallies.happened_since(database, replace(counted, seq=99)) == counted  # another ledger: counted anew
    assert tallies.by_state(database)["jobs"] == {"queued": 1}
    assert tallies.received(database) == (1, 4)

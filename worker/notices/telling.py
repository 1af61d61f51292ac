"""One channel tells what it has to tell: claimed in the ledger, sent, and marked as told."""

from datetime import datetime

import structlog

from dicom_node.errors import NodeError, SettingsError, StaleFence
from dicom_node.ledger import channels, notices
from dicom_node.ledger.channels import ChannelClaim
from dicom_node.tls import web_context
from worker.errors import NoticeError
from worker.notice_settings import ChannelSettings, EmailSettings, WebhookSettings
from worker.notices.mail import mail
from worker.notices.message import Message, message, trial
from worker.notices.secret import secret_of
from worker.notices.webhook import post
from worker.owner import is_gone, this_owner
from worker.wiring import Node

log = structlog.get_logger()

# Longer than any mail server or webhook may take; one that takes longer is told the same again.
LEASE_S = 240.0
FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 3600.0


def tell(node: Node, channel: ChannelSettings, now: datetime) -> bool:
    """Send what a channel has to tell, in one message; True where one went out.

    A crash after it was sent and before that is marked sends it once more, under the same ids.
    """
    if not _untold(node, channel):
        return False
    settings, database = node.settings.notices, node.database
    claim = channels.claim(database, channel.name, this_owner(), LEASE_S, is_gone, settings.per_hour)
    if claim is None:
        return False
    # Only what is read under the claim is surely nobody else's to tell.
    tellings = _untold(node, channel)
    composed = message(node.settings.receive.ae_title, node.settings.console.public_url, now, tellings)
    try:
        if not tellings:
            channels.idle(database, claim)
            return False
        send(channel, composed)
        channels.sent(database, claim, tellings, composed.about)
    except (NoticeError, SettingsError) as error:
        _failed(node, claim, str(error))
        return False
    except StaleFence:
        log.warning("a notice took so long that another process sends it too", channel=channel.name)
        return False
    return True


def send(channel: ChannelSettings, composed: Message) -> None:
    """Send a message by a channel. NoticeError or SettingsError where it did not go out."""
    if isinstance(channel, WebhookSettings):
        post(channel, composed)
    elif isinstance(channel, EmailSettings):
        mail(channel, composed)


def check_channel(channel: ChannelSettings) -> None:
    """SettingsError where a file that is named for a channel cannot be used; the sentence says which."""
    web_context(None, None, channel.authorities)
    if channel.secret_file is not None:
        secret_of(channel.secret_file)


def send_trial(node: Node, name: str, now: datetime) -> str:
    """Send a trial by the channel of this name, and say what came of it. NoticeError where it did not go out."""
    known = {channel.name: channel for channel in node.settings.notices.channels}
    if name not in known:
        names = ", ".join(known) or "none"
        raise SettingsError(f"[notices] names no webhook or email {name!r}; it names: {names}")
    try:
        send(known[name], trial(node.settings.receive.ae_title, node.settings.console.public_url, now))
    except (NoticeError, NodeError) as error:
        channels.tried(node.database, name, str(error))
        raise
    channels.tried(node.database, name, "")
    return f"A trial went out by {name}: look whether it arrived."


def _untold(node: Node, channel: ChannelSettings) -> list[notices.Telling]:
    repeat_s = node.settings.notices.repeat_minutes * 60
    return notices.untold(node.database, channel.name, channel.wanted, repeat_s)


def _failed(node: Node, claim: ChannelClaim, reason: str) -> None:
    wait_s = min(FIRST_WAIT_S * 2.0 ** min(claim.attempt, 30), LONGEST_WAIT_S)
    if claim.attempt == 0:
        log.error("notices do not go out, trying again", channel=claim.name, reason=reason)
    channels.failed(node.database, claim, reason, wait_s)

"""What is amiss and whom the node told, as a page; and a trial of a webhook or mail server."""

from datetime import UTC, datetime

from starlette.responses import Response

from dicom_node.errors import NodeError
from dicom_node.ledger import channels, notices
from worker.console.asked import Asked
from worker.console.office import Console, back, page
from worker.errors import NoticeError
from worker.notice_settings import EmailSettings
from worker.notices.telling import send_trial

SHOWN = 30


def notices_page(console: Console, asked: Asked) -> Response:
    """What is amiss, what is over, and what was sent by which channel."""
    database, settings = console.node.database, console.node.settings.notices
    known = [(channel, "e-mail" if isinstance(channel, EmailSettings) else "webhook") for channel in settings.channels]
    return page(
        console, asked, "notices.html",
        lasting=notices.lasting(database), ended=notices.ended(database, SHOWN), known=known,
        sent=channels.messages(database, SHOWN), failing={item.name: item for item in channels.failing(database)},
    )  # fmt: skip


def trial(console: Console, asked: Asked) -> Response:
    """Send a trial by a channel."""
    try:
        sentence = f"✓ {send_trial(console.acting(asked), asked.words['name'], datetime.now(UTC))}"
    except (NoticeError, NodeError) as error:
        sentence = f"✕ {error}."
    return back(console, asked, "/notices", sentence)

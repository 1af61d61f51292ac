"""A message by e-mail, through a mail server of the hospital's."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime

import structlog

from dicom_node.tls import web_context
from worker.errors import NoticeError
from worker.notice_settings import EmailSettings
from worker.notices.message import Message
from worker.notices.secret import secret_of

log = structlog.get_logger()

TIMEOUT_S = 20.0
ENDING = "\n\n--\nSent by a thinslice node. It tells again only what is bad and lasts, and tells when it is over.\n"


def mail(channel: EmailSettings, message: Message) -> None:
    """Hand it to the mail server.

    Raises
    ------
    NoticeError
        The server cannot be reached, does not speak TLS as set, or refuses us, the sender or a recipient.
    SettingsError
        A file that is named for the channel cannot be used.
    """
    secret = "" if channel.secret_file is None else secret_of(channel.secret_file)
    context = web_context(None, None, channel.authorities)
    if channel.authorities is None:
        context.load_default_certs()
    with _told_why(channel), _connect(channel, context) as server:
        if channel.tls == "starttls":
            server.starttls(context=context)
        if channel.username:
            server.login(channel.username, secret)
        refused = server.send_message(_written(channel, message))
    if refused:  # the others have it: sending it again would not help these
        log.warning("a mail server refuses some recipients", channel=channel.name, refused=len(refused))


@contextmanager
def _told_why(channel: EmailSettings) -> Iterator[None]:
    """What goes wrong in one sentence. What the server says beside its code is not repeated."""
    host = channel.host
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise NoticeError(f"{host} refuses us with SMTP {error.smtp_code}: {_advice(error)}") from error
    except smtplib.SMTPRecipientsRefused as error:
        raise NoticeError(f"{host} takes no mail for the recipients of {channel.name}") from error
    except smtplib.SMTPNotSupportedError as error:
        raise NoticeError(f"{host} does not offer {channel.tls} or a login: check tls and username") from error
    except ssl.SSLError as error:
        raise NoticeError(f"{host}: TLS failed; check tls, port and authorities of {channel.name}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise NoticeError(f"{host} cannot be reached, or broke off") from error


def _connect(channel: EmailSettings, context: ssl.SSLContext) -> smtplib.SMTP:
    if channel.tls == "implicit":
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=TIMEOUT_S, context=context)
    return smtplib.SMTP(channel.host, channel.port, timeout=TIMEOUT_S)


def _written(channel: EmailSettings, message: Message) -> EmailMessage:
    """The letter. Its Message-ID is that of its notices: one that a crash repeats is the same letter."""
    letter = EmailMessage()
    letter["Subject"] = message.title
    letter["From"], letter["To"] = channel.sender, ", ".join(channel.recipients)
    letter["Date"] = format_datetime(message.at)
    domain = channel.sender.rpartition("@")[2]
    first = message.told[0]
    letter["Message-ID"] = f"<{first.id}.{first.since.timestamp():.0f}.{len(message.told)}.{channel.name}@{domain}>"
    letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
    letter.set_content(message.text + ENDING)
    return letter


def _advice(error: smtplib.SMTPResponseException) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "check username and secret_file"
    if isinstance(error, smtplib.SMTPSenderRefused):
        return "check sender"
    return "ask its administrator"

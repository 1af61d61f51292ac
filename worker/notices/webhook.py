"""A message by POST to a URL, signed so that the receiver knows whose it is and when it was sent."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from requests import RequestException, Session
from requests.exceptions import SSLError, Timeout

from dicom_node.send.web import TlsAdapter
from dicom_node.tls import web_context
from worker.errors import NoticeError
from worker.notice_settings import WebhookSettings
from worker.notices.message import Message
from worker.notices.secret import secret_of

CONNECT_S, ANSWER_S = 10.0, 20.0
SIGNATURE, TIMESTAMP = "Thinslice-Signature", "Thinslice-Timestamp"


def post(channel: WebhookSettings, message: Message) -> None:
    """Send it. Nothing of the answer but its status is read, and no redirect is followed.

    Raises
    ------
    NoticeError
        It did not arrive; the sentence names neither the path nor the secret.
    SettingsError
        A file that is named for the channel cannot be used.
    """
    body = json.dumps(message.as_json(), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "thinslice", **_signed(channel, message, body)}
    host = urlsplit(channel.url).hostname
    try:
        with _session(channel) as session:
            session.headers.update(headers)
            limits = CONNECT_S, ANSWER_S
            answer = session.post(channel.url, data=body, timeout=limits, allow_redirects=False, stream=True)
            answer.close()
    except SSLError as error:
        raise NoticeError(f"{host}: TLS failed; check authorities of the webhook {channel.name}") from error
    except Timeout as error:
        raise NoticeError(f"{host} does not answer in time") from error
    except (RequestException, OSError) as error:
        raise NoticeError(f"{host} cannot be reached") from error
    if not 200 <= answer.status_code < 300:
        raise NoticeError(f"{host} answered HTTP {answer.status_code}")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 (hex) over the timestamp, a full stop and the body."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _signed(channel: WebhookSettings, message: Message, body: bytes) -> dict[str, str]:
    timestamp = f"{message.at.timestamp():.0f}"
    if channel.secret_file is None:
        return {TIMESTAMP: timestamp}
    signed = signature(secret_of(channel.secret_file), timestamp, body)
    return {TIMESTAMP: timestamp, SIGNATURE: f"v1={signed}"}


def _session(channel: WebhookSettings) -> Session:
    opened = Session()
    opened.trust_env = False
    verify: Any = True if channel.authorities is None else str(channel.authorities)
    opened.verify = verify
    opened.mount("https://", TlsAdapter(web_context(None, None, channel.authorities)))
    return opened

"""The console on its port: uvicorn in a thread, so that `thinslice up` and `thinslice console` serve it alike."""

import contextlib
import socket
import threading

import uvicorn

from dicom_node.errors import SettingsError
from worker.console.app import make_app
from worker.console.entering import FIRST
from worker.console.office import open_console
from worker.console.patience import ImpatientProtocol
from worker.wiring import Node

KEEP_ALIVE_S = 15
CONNECTIONS = 200
STOP_S = 5


class ConsoleServer:
    """The console of a node, from ``start`` to ``stop``.

    Raises
    ------
    SettingsError
        No port is set, it cannot be listened on, or the certificate cannot be used.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._console = node, open_console(node)
        self._socket = _listen(node)
        settings = node.settings.console
        config = uvicorn.Config(
            make_app(self._console), http=ImpatientProtocol, lifespan="off", ws="none", log_config=None,
            access_log=False, server_header=False,
            proxy_headers=bool(settings.trusted_proxies), forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=KEEP_ALIVE_S, limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=STOP_S,
            ssl_certfile=settings.certificate, ssl_keyfile=settings.key,
        )  # fmt: skip
        try:
            config.load()
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(f"[console] certificate and key cannot be used: {error}") from error
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="console", daemon=True)

    @property
    def url(self) -> str:
        """Where people reach it."""
        return (self._node.settings.console.public_url or self.local_url).rstrip("/")

    @property
    def local_url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"{'https' if self._node.settings.console.certificate else 'http'}://{host}:{port}"

    @property
    def first_url(self) -> str:
        """Where whoever reads this process's output makes the first user; empty once there is one."""
        token = self._console.accounts.first_token
        return f"{self.url}{FIRST}?token={token}" if token else ""

    def is_alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being answered, then stop."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        with contextlib.suppress(OSError):
            self._socket.close()


def _listen(node: Node) -> socket.socket:
    settings = node.settings.console
    if settings.port is None:
        raise SettingsError("[console].port is not set: choose one, for example 8042")
    try:
        return socket.create_server((settings.host, settings.port), reuse_port=False)
    except OSError as error:
        raise SettingsError(f"[console] cannot listen on {settings.host}:{settings.port}: {error.strerror}") from error

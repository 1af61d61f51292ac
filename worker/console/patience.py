"""HTTP with a limit on how long a request may take to arrive: uvicorn waits for a stranger's first line for ever."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 15.0


class ImpatientProtocol(H11Protocol):
    """uvicorn's own, that hangs up on whoever has not sent a request's headers within ``HEADERS_S``."""

    def connection_made(self, transport: Any) -> None:
        """Somebody connected."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """They are gone."""
        self._clock.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """The next request may come on the same connection."""
        super().on_response_complete()
        self._clock.cancel()
        self._wait()

    def _wait(self) -> None:
        self._clock: asyncio.TimerHandle = self.loop.call_later(HEADERS_S, self._hang_up)

    def _hang_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

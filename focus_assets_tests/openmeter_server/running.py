"""Starting the server: on loopback as a real HTTP server, or without a network for tests of thousands of requests."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from focus_assets.openmeter.transport import Transport
from focus_assets_tests.openmeter_server.faults import BrokeOff, TookTooLong


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The application on a free port of loopback; gives its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        port = listening.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


class WithoutNetwork(httpx.AsyncBaseTransport):
    """Hands requests to the application directly; what a network would do to a broken answer is done here."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except BrokeOff:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body"
            ) from None
        except TookTooLong:
            raise httpx.ReadTimeout("") from None


@dataclass(frozen=True)
class SourceSettings:
    """What an OpenMeter source reads of ``focus.yaml``."""

    url: str = "http://openmeter.test"
    window: str = "hour"
    concurrency: int = 4
    timeout_seconds: int = 100


async def no_pause(seconds: float) -> None:
    """Stands in for waiting between tries."""
    await asyncio.sleep(0)


def connected_to(app: ASGIApp, **options: Any) -> Any:
    """What makes a source's transport, without network and without pauses."""

    def connect(settings: Any) -> Transport:
        return Transport(
            settings.url,
            concurrency=settings.concurrency,
            sleep=no_pause,
            **{"environment": {}, "transport": WithoutNetwork(app), **options},
        )

    return connect

"""A proxy in front of an S3 server that fails the requests it is told to: what an object store does on a bad day.

What belongs here: forwarding and failing. What does not: what has to come of it.
"""

from __future__ import annotations

import datetime as dt
import http.client
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal
from urllib.parse import urlsplit

import pytest

from focus_assets.lake import bucket
from focus_assets_tests.s3_server import S3Bucket

Kind = Literal["500", "503", "409", "lost", "unsent", "truncated"]
"""
``500``, ``503``: an answer instead of the server's, which never saw the request. ``409``: the same, as S3 answers one
of two conditional puts at a time. ``lost``: the server did it and its answer never came. ``unsent``: the connection
ends before anything happened. ``truncated``: an answer whose body ends in the middle.
"""

_CODES: Final = {"500": "InternalError", "503": "SlowDown", "409": "ConditionalRequestConflict"}
_HOP: Final = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Request:
    """A request as it came: its number from 1, method, path with query, and whether it is conditional."""

    number: int
    method: str
    path: str
    conditional: bool


@dataclass
class FaultyS3:
    """The proxy's address, what came, and which requests it fails."""

    url: str
    came: list[Request] = field(default_factory=list)
    fault: Callable[[Request], Kind | None] = lambda _: None
    """Asked for each request."""
    failed: int = 0

    def fail(self, kind: Kind, which: Callable[[Request], bool], times: int = 1) -> None:
        """Fail the next ``times`` requests that ``which`` says; begins to count anew."""
        self.came.clear()
        self.failed = 0

        def fault(request: Request) -> Kind | None:
            if self.failed < times and which(request):
                self.failed += 1
                return kind
            return None

        self.fault = fault

    def fail_each_once(
        self, kind: Kind, which: Callable[[Request], bool], *, seed: int | None = None
    ) -> None:
        """Fail each request that ``which`` says, but not when it is tried again; with a ``seed`` a random half."""
        self.came.clear()
        self.failed = 0
        tried: set[tuple[str, str]] = set()
        chance = random.Random(seed)

        def fault(request: Request) -> Kind | None:
            again = (request.method, request.path)
            if again in tried:
                tried.remove(again)
                return None
            if not which(request) or (seed is not None and chance.random() < 0.5):
                return None
            tried.add(again)
            self.failed += 1
            return kind

        self.fault = fault


@contextmanager
def faulty_s3(endpoint: str) -> Iterator[FaultyS3]:
    """A proxy in front of ``endpoint``."""
    place, turn = urlsplit(endpoint), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            conditional = {"if-match", "if-none-match"} & {name.lower() for name in self.headers}
            with turn:
                request = Request(len(proxy.came) + 1, self.command, self.path, bool(conditional))
                proxy.came.append(request)
                kind = proxy.fault(request)
            if kind == "unsent":
                self.close_connection = True
                return
            if kind in _CODES:
                self._answer(int(kind), {"content-type": "application/xml"}, _error(kind))
                return
            status, headers, answer = self._forward(body)
            if kind == "lost":
                self.close_connection = True
                return
            self._answer(status, headers, answer, cut=kind == "truncated")

        def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            upstream = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
            try:
                # The host stays that of the proxy: it is part of the signature.
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body or None)
                answer = upstream.getresponse()
                content = answer.read()
                return answer.status, {n: v for n, v in answer.getheaders() if n.lower() not in _HOP}, content
            finally:
                upstream.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            length = headers.get("Content-Length", headers.get("content-length", str(len(body))))
            self.send_header("content-length", length if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    for method in ("GET", "PUT", "HEAD", "DELETE", "POST"):
        setattr(Handler, f"do_{method}", Handler._serve)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = FaultyS3(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _error(kind: str) -> bytes:
    return (
        f'<?xml version="1.0"?><Error><Code>{_CODES[kind]}</Code><Message>a test</Message></Error>'.encode()
    )


@pytest.fixture
def proxy(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """A proxy in front of the bucket's server, with clients that try again after milliseconds."""
    soon, later = dt.timedelta(milliseconds=2), dt.timedelta(milliseconds=20)
    quick = {"backoff": {"init_backoff": soon, "max_backoff": later, "base": 2}}
    monkeypatch.setattr(bucket, "_RETRIES", dict(bucket._RETRIES) | quick)
    with faulty_s3(s3_bucket.server.endpoint) as found:
        yield found

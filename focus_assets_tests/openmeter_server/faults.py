"""Faults between the server and its client, one request after the other, as a script says.

What belongs here: what may go wrong on the way. What does not: right answers (``app``).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Fault(StrEnum):
    """What happens to one request."""

    NONE = "none"
    DELAY = "delay"
    CUT_BODY = "cut body"
    TOO_MANY_REQUESTS = "429"
    ERROR_500 = "500"
    ERROR_503 = "503 with problem+json"
    GATEWAY_TIMEOUT = "504"
    GARBAGE = "garbage"
    EMPTY = "empty body"
    WRONG_CONTENT_TYPE = "wrong content type"
    PAGE_REPEATED = "page repeated"
    PAGE_MISSING = "page missing"
    DIGITS_17 = "numbers of 17 digits"
    UNKNOWN_ENUM = "unknown enum values"
    ROW_TWICE = "row twice"
    ROW_MISSING = "row missing"
    TOO_LARGE = "longer than the time limit"


class BrokeOff(Exception):
    """The connection ended within the answer."""


class TookTooLong(Exception):
    """No answer within the client's time limit; a transport without a network raises it in the client's place."""


class Faults:
    """An application whose answers are spoiled, request by request; without a script they are not.

    ``script`` gives a fault per request, in order; after its end nothing is spoiled. ``too_large`` says of a
    request's body whether the server cannot answer it in time. With a network, ``hang`` is how long it then
    keeps silent; without, the exception stands for it.
    """

    def __init__(
        self,
        app: ASGIApp,
        script: Iterable[Fault] = (),
        *,
        too_large: Callable[[str, dict[str, Any]], bool] | None = None,
        hang: float | None = None,
    ) -> None:
        self._app = app
        self.script = iter(script)
        self._too_large = too_large
        self._hang = hang
        self.happened: Counter[Fault] = Counter()
        self.requests: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = next(self.script, Fault.NONE)
        asked = await _body(receive)
        path = scope["path"]
        self.requests.append((scope["method"], path))
        if (
            self._too_large is not None
            and path.endswith("/query")
            and self._too_large(path, json.loads(asked))
        ):
            fault = Fault.TOO_LARGE
        self.happened[fault] += 1
        await self._answered(fault, scope, asked, send)

    async def _answered(self, fault: Fault, scope: Scope, asked: bytes, send: Send) -> None:
        if fault is Fault.TOO_LARGE:
            if self._hang is None:
                raise TookTooLong
            await asyncio.sleep(self._hang)
        if fault is Fault.DELAY:
            await asyncio.sleep(0.02)
        number = re.search(rb"page(?:%5Bnumber%5D|\[number\])?=(\d+)", scope["query_string"])
        if fault in (Fault.PAGE_REPEATED, Fault.PAGE_MISSING) and number:
            other = max(1, int(number[1]) + (-1 if fault is Fault.PAGE_REPEATED else 1))
            begin, end = number.span(1)
            query = scope["query_string"]
            scope = {**scope, "query_string": query[:begin] + str(other).encode() + query[end:]}
        start, body = await _answer(self._app, scope, asked)
        if number and fault in (Fault.PAGE_REPEATED, Fault.PAGE_MISSING) and start["status"] == 200:
            body = _renumbered(body, int(number[1]))
        spoiled_start, spoiled = _spoiled(fault, start, body)
        headers = [(k, v) for k, v in spoiled_start["headers"] if k.lower() != b"content-length"]
        length = len(body) if fault is Fault.CUT_BODY else len(spoiled)
        spoiled_start["headers"] = [*headers, (b"content-length", str(length).encode())]
        await send(spoiled_start)
        if fault is Fault.CUT_BODY:
            await send({"type": "http.response.body", "body": spoiled, "more_body": True})
            raise BrokeOff
        await send({"type": "http.response.body", "body": spoiled})


def _spoiled(fault: Fault, start: Message, body: bytes) -> tuple[Message, bytes]:
    status = {
        Fault.TOO_MANY_REQUESTS: 429,
        Fault.ERROR_500: 500,
        Fault.ERROR_503: 503,
        Fault.GATEWAY_TIMEOUT: 504,
    }
    if fault in status:
        return _error(status[fault], problem=fault is Fault.ERROR_503)
    if fault is Fault.CUT_BODY:
        return start, body[: len(body) // 2]
    if fault is Fault.GARBAGE:
        return start, b'{"data": [{"value": 1'
    if fault is Fault.EMPTY:
        return start, b""
    if fault is Fault.WRONG_CONTENT_TYPE:
        return {**start, "headers": [(b"content-type", b"text/html; charset=utf-8")]}, body
    if start["status"] == 200 and fault in _IN_DOCUMENT:
        document = json.loads(body, parse_float=_Kept, parse_int=_Kept)
        _IN_DOCUMENT[fault](document)
        return start, _KEPT.sub(rb"\1", json.dumps(document, default=str).encode())
    return start, body


class _Kept(str):
    """A number as it was written."""

    __slots__ = ()

    def __new__(cls, text: str) -> _Kept:
        return super().__new__(cls, f"\1{text}\1")


_KEPT = re.compile(rb'"\\u0001(.*?)\\u0001"')


def _rows(document: Any) -> list[Any]:
    if isinstance(document, dict):
        return next((document[key] for key in ("data", "items") if isinstance(document.get(key), list)), [])
    return document if isinstance(document, list) else []


def _digits_17(document: Any) -> None:
    for row in _rows(document):
        if isinstance(row, dict) and isinstance(row.get("value"), str):
            kept = row["value"].startswith("\1")
            number = float(row["value"].strip("\1"))
            digits = f"{Decimal(f'{number:.17g}'):f}"
            row["value"] = f"\1{digits}\1" if kept else digits


def _unknown_enums(document: Any) -> None:
    for row in _rows(document):
        if isinstance(row, dict):
            row["status"] = "hibernating"
            row["novelty"] = {"type": "unheard_of"}
    if isinstance(document, dict) and "windowSize" in document:
        document["windowSize"] = "FORTNIGHT"


def _row_twice(document: Any) -> None:
    _rows(document)[:1] = _rows(document)[:1] * 2


def _row_missing(document: Any) -> None:
    del _rows(document)[:1]


_IN_DOCUMENT: dict[Fault, Callable[[Any], None]] = {
    Fault.DIGITS_17: _digits_17,
    Fault.UNKNOWN_ENUM: _unknown_enums,
    Fault.ROW_TWICE: _row_twice,
    Fault.ROW_MISSING: _row_missing,
}


def _renumbered(body: bytes, number: int) -> bytes:
    """The other page under the number that was asked for: nothing but its content tells."""
    document = json.loads(body)
    if isinstance(document, dict) and "meta" in document:
        document["meta"]["page"]["number"] = number
    elif isinstance(document, dict) and "page" in document:
        document["page"] = number
    return json.dumps(document).encode()


def _error(status: int, *, problem: bool) -> tuple[Message, bytes]:
    kind = b"application/problem+json" if problem else b"text/plain"
    document = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": status,
        "detail": "the database is being moved",
        "instance": "urn:request:moving/42",
    }
    headers = [(b"content-type", kind), *([(b"retry-after", b"1")] if status == 429 else [])]
    body = json.dumps(document).encode() if problem else b"upstream said no"
    return {"type": "http.response.start", "status": status, "headers": headers}, body


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(app: ASGIApp, scope: Scope, asked: bytes) -> tuple[Message, bytes]:
    """The application's whole answer."""
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": asked, "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start = messages[0]
    return {**start}, b"".join(message.get("body", b"") for message in messages[1:])

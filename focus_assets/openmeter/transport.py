"""One server over HTTP: requests go out a few at a time, are tried again where that may help, and come back as
JSON documents whose numbers are decimals.

What belongs here: connections, limits, tries, redaction. What does not: endpoints (``v3``, ``v1``), pages
(``pages``) and what a document means (``wire_v3``, ``wire_v1``).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from focus_assets import __version__
from focus_assets.openmeter.errors import (
    AnswerCutShort,
    MalformedResponse,
    NotAnOpenMeter,
    ServerProblem,
    ServerTooSlow,
    ServerUnreachable,
    UnexpectedRedirect,
)

TOKEN_VARIABLE: Final = "OPENMETER_TOKEN"
"""The environment variable that holds the bearer token; self-hosted servers need none."""

TIMEOUT_SECONDS: Final = 100.0
"""OpenMeter gives up writing an answer after 90 s; a shorter wait would hide its own error."""

CONCURRENCY: Final = 4
"""OpenMeter's pool of database connections is 5; one stays free for others."""

ATTEMPTS: Final = 5
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_LONGEST_RETRY_AFTER: Final = 300.0
_backoff = wait_random_exponential(multiplier=0.5, max=30)

Parameters = Sequence[tuple[str, str]]


class Transport:
    """Requests to one OpenMeter server. Use as an async context manager, within one event loop.

    ``transport`` and ``sleep`` are replaced in tests. The token is taken from :data:`TOKEN_VARIABLE`, sent to
    ``url`` only and never part of a message.
    """

    def __init__(
        self,
        url: str,
        *,
        concurrency: int = CONCURRENCY,
        timeout_seconds: float = TIMEOUT_SECONDS,
        attempts: int = ATTEMPTS,
        environment: Mapping[str, str] = os.environ,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._token = environment.get(TOKEN_VARIABLE, "").strip()
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._sleep = sleep
        self._limit = asyncio.Semaphore(concurrency)
        headers = {
            "Accept": "application/json, application/problem+json",
            "User-Agent": f"focus-assets/{__version__} (+httpx/{httpx.__version__})",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            self._client = httpx.AsyncClient(
                headers=headers,
                timeout=httpx.Timeout(timeout_seconds, connect=10.0, write=30.0, pool=None),
                limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
                follow_redirects=False,
                transport=transport,
            )
        except (ValueError, UnicodeError) as error:
            raise NotAnOpenMeter(
                f"{TOKEN_VARIABLE} cannot be sent: it holds characters that no HTTP header may hold"
            ) from error
        self.requests = 0
        self.server = ""
        self.server_date: dt.datetime | None = None

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def get(self, path: str, parameters: Parameters = ()) -> Any:
        """The document at ``path``. Raises OpenMeterError."""
        return (await self._tried("GET", path, parameters, None)).document()

    async def ask(self, path: str, question: Mapping[str, Any]) -> Content:
        """The answer to a question that changes nothing, so that asking again is harmless. Raises OpenMeterError."""
        body = json.dumps(question, ensure_ascii=False, separators=(",", ":")).encode()
        return await self._tried("POST", path, (), body)

    async def _tried(self, method: str, path: str, parameters: Parameters, body: bytes | None) -> Content:
        """Up to ``attempts`` tries, at growing random intervals, no sooner than the server allows."""
        tries = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=_wait,
            retry=retry_if_exception(_worth_another_try),
            sleep=self._sleep,
            reraise=True,
        )
        return await tries(self._once, method, path, parameters, body)

    async def _once(self, method: str, path: str, parameters: Parameters, body: bytes | None) -> Content:
        request = f"{method} {self.url}{path}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        async with self._limit:
            self.requests += 1
            try:
                # The client's own limit is of each part: an answer that comes byte by byte would never end.
                async with asyncio.timeout(self._timeout):
                    response = await self._client.request(
                        method,
                        f"{self.url}{path}",
                        params=httpx.QueryParams(list(parameters)) if parameters else None,
                        content=body,
                        headers=headers,
                    )
            except (httpx.TimeoutException, TimeoutError) as error:
                if isinstance(error, httpx.ConnectTimeout):
                    raise ServerUnreachable(f"{request}: no connection within 10 s") from None
                raise ServerTooSlow(f"{request}: no whole answer within {self._timeout:g} s") from None
            except httpx.RemoteProtocolError as error:
                raise AnswerCutShort(self._redacted(f"{request}: the answer broke off ({error})")) from None
            except httpx.DecodingError as error:
                raise MalformedResponse(self._redacted(f"{request}: cannot be decoded ({error})")) from None
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise NotAnOpenMeter(
                    f"source.openmeter.url: {self.url!r} is no address of a server ({error}); it begins with "
                    "http:// or https://"
                ) from None
            except httpx.TransportError as error:
                why = str(error) or type(error).__name__
                raise ServerUnreachable(self._redacted(f"{request}: {why}")) from None
        self.server = response.headers.get("server", self.server)
        self.server_date = _date(response.headers.get("date")) or self.server_date
        return self._content(request, response)

    def _content(self, request: str, response: httpx.Response) -> Content:
        if response.is_redirect:
            location = response.headers.get("location")
            target = (
                (httpx.URL(location).host or "another path") if location else "an address it does not name"
            )
            raise UnexpectedRedirect(
                f"{request} redirects ({response.status_code}) to {target}, which is not followed: the token "
                "goes to the configured host only. Set source.openmeter.url to the final address."
            )
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_json = kind == "application/json" or kind.endswith("+json")
        if response.status_code >= 400:
            told = _json_or_none(response.content) if is_json else None
            problem = json.loads(self._redacted(json.dumps(told, default=str))) if told else None
            raise ServerProblem.of(
                request,
                response.status_code,
                problem,
                retry_after=_retry_after(response.headers.get("retry-after")),
            )
        if response.status_code != 200:
            raise MalformedResponse(f"{request} answered {response.status_code}; 200 was expected")
        if not is_json:
            raise MalformedResponse(
                f"{request} answered with {kind or 'no content type'}; application/json was expected. Is "
                "source.openmeter.url the address of an OpenMeter server?"
            )
        return Content(request, response.content, self._redacted)

    def _redacted(self, text: str) -> str:
        return text.replace(self._token, "***") if self._token else text


@dataclass(frozen=True)
class Content:
    """What came as JSON, not read yet."""

    request: str
    content: bytes
    redacted: Callable[[str], str]

    def document(self) -> Any:
        """The JSON document, numbers with a fraction as decimals. Raises MalformedResponse."""
        try:
            return _json(self.content)
        except (ValueError, RecursionError, ArithmeticError) as error:
            raise MalformedResponse(
                self.redacted(
                    f"{self.request}: the answer is no JSON ({type(error).__name__}: {error!s:.200})"
                )
            ) from None


def _json(content: bytes) -> Any:
    # Given bytes, the reader would let halves of characters through that no UTF-8 can hold.
    text = content.decode("utf-8-sig")
    document = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    if "\\ud" in text or "\\uD" in text:
        # Half a character is valid JSON, but no text that could be written anywhere.
        json.dumps(document, ensure_ascii=False, default=str).encode()
    return document


def _json_or_none(content: bytes) -> Any:
    try:
        return _json(content)
    except (ValueError, RecursionError, ArithmeticError):
        return None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _worth_another_try(error: BaseException) -> bool:
    """Timeouts are not tried again: the same question would take as long; it is split instead."""
    if isinstance(error, ServerProblem):
        if error.retry_after is not None and error.retry_after > _LONGEST_RETRY_AFTER:
            return False
        return error.status in _WORTH_ANOTHER_TRY or (error.status >= 500 and error.status != 504)
    return isinstance(error, ServerUnreachable) and not isinstance(error, ServerTooSlow)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    at_least = (error.retry_after if isinstance(error, ServerProblem) else None) or 0.0
    return at_least + _backoff(state)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait: the header holds seconds or an HTTP date; anything else counts as absent."""
    if value is None:
        return None
    if value.strip().isdecimal():
        # Python reads no number of thousands of digits; this one is longer than anybody waits, too.
        return int(value) if len(value) < 20 else 2 * _LONGEST_RETRY_AFTER
    instant = _date(value)
    if instant is None:
        return None
    # The one clock that is not an input: it decides how long to wait, never what is written.
    return max(0.0, (instant - dt.datetime.now(dt.UTC)).total_seconds())


def _date(value: str | None) -> dt.datetime | None:
    """An HTTP date in UTC; None where there is none."""
    try:
        instant = parsedate_to_datetime(value or "")
        return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None

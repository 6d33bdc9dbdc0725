"""How requests go out: how many at a time, in which order, and which are tried again, after which pause."""

from __future__ import annotations

import asyncio
import datetime as dt
from email.utils import format_datetime

import httpx
import pytest

from focus_assets.openmeter import OpenMeterError, OpenMeterSource
from focus_assets.openmeter.errors import ServerProblem
from focus_assets.openmeter.transport import Transport
from focus_assets_tests.openmeter.company import DAYS, FIRST, Asked, catalog, from_server
from focus_assets_tests.openmeter.test_faults import answered
from focus_assets_tests.openmeter_server.app import Company, application
from focus_assets_tests.openmeter_server.running import SourceSettings

DAY = DAYS[1]


def pauses_where_a_busy_server_says(retry_after: str) -> list[float]:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    def busy(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": retry_after, "date": retry_after})

    def connect(settings: SourceSettings) -> Transport:
        return Transport(settings.url, environment={}, transport=httpx.MockTransport(busy), sleep=pause)

    source = OpenMeterSource(SourceSettings(), connect)  # type: ignore[arg-type]
    with pytest.raises(ServerProblem, match="429"), source.open(first_day=FIRST):
        pass
    return pauses


def test_retries_wait_as_long_as_the_server_says() -> None:
    pauses = pauses_where_a_busy_server_says("7")
    assert len(pauses) == 4
    assert all(7 <= seconds <= 37 for seconds in pauses)


def test_the_server_may_name_a_time_to_wait_for() -> None:
    pauses = pauses_where_a_busy_server_says(
        format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60))
    )
    assert len(pauses) == 4
    assert all(50 <= seconds <= 90 for seconds in pauses)


@pytest.mark.parametrize(
    "unreadable",
    ["soon", "-7", "Fri, 31 Dec 9999 23:59:59 -0500", "Fri, 31 Dec 2026 23:59:59 +99999999999999"],
)
def test_a_time_that_nobody_can_read_counts_as_none(unreadable: str) -> None:
    pauses = pauses_where_a_busy_server_says(unreadable)
    assert len(pauses) == 4
    assert all(seconds <= 30 for seconds in pauses)


@pytest.mark.parametrize("long", ["301", "9" * 5_000])
def test_nobody_waits_longer_than_five_minutes(long: str) -> None:
    assert pauses_where_a_busy_server_says(long) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422])
def test_what_another_try_cannot_mend_is_asked_once(status: int) -> None:
    asked = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(status, json={"title": "no"})

    source = OpenMeterSource(SourceSettings(), answered(refuse))  # type: ignore[arg-type]
    with pytest.raises(OpenMeterError), source.open(first_day=FIRST):
        pass
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_what_another_try_may_mend_is_asked_five_times(status: int) -> None:
    asked = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(status, json={"title": "no"})

    source = OpenMeterSource(SourceSettings(), answered(refuse))  # type: ignore[arg-type]
    with pytest.raises(ServerProblem, match=f"answered {status}"), source.open(first_day=FIRST):
        pass
    assert len(asked) == 5


def test_no_more_requests_at_a_time_than_allowed(server_company: Company) -> None:
    running, most = 0, 0
    app = application(server_company)

    async def counting(scope: object, receive: object, send: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        try:
            await app(scope, receive, send)  # type: ignore[arg-type]
        finally:
            running -= 1

    from_server(counting, catalog(), [DAY], Asked(SourceSettings(concurrency=3)))  # type: ignore[arg-type]
    assert most == 3


def test_the_next_request_goes_out_before_an_answer_is_read() -> None:
    happened: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        happened.append(f"asked {request.url.path}")
        return httpx.Response(200, json={})

    async def asked_and_read() -> None:
        async def one(transport: Transport, path: str) -> None:
            (await transport.ask(path, {})).document()
            happened.append(f"read {path}")

        mock = httpx.MockTransport(answer)
        async with Transport(
            "http://openmeter.test", concurrency=1, environment={}, transport=mock
        ) as transport:
            await asyncio.gather(*(one(transport, path) for path in ("/1", "/2", "/3")))

    asyncio.run(asked_and_read())
    assert happened.index("asked /2") < happened.index("read /1")
    assert happened.index("asked /3") < happened.index("read /2")

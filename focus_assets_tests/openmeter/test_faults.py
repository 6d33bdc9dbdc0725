"""Whatever goes wrong on the way: the day is right, or the run fails with a named error. Never short, never doubled."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from focus_assets.catalog.snapshot import FocusDefaults
from focus_assets.openmeter import OpenMeterError, OpenMeterSource, asked_once, catalog_now
from focus_assets.openmeter.errors import (
    AnswerCutShort,
    MalformedResponse,
    NotAuthorized,
    ServerProblem,
    ServerTooSlow,
    ServerUnreachable,
    UnexpectedRedirect,
)
from focus_assets.openmeter.transport import Transport
from focus_assets.usage.normalize import normalized_usage
from focus_assets_tests.openmeter.company import DAYS, FIRST, catalog, from_server
from focus_assets_tests.openmeter_server.app import Company, application
from focus_assets_tests.openmeter_server.faults import Fault, Faults
from focus_assets_tests.openmeter_server.running import SourceSettings, connected_to, no_pause, served

Raw = dict[dt.date, pl.DataFrame]
DAY = DAYS[1]
REQUESTS = 130


def right(found: pl.DataFrame, expected: pl.DataFrame) -> bool:
    """To nine places, as everything after it reads it: faults may spell a float with 17 digits."""
    known = catalog()
    one, other = (normalized_usage(frame.lazy(), known.on(DAY)).collect() for frame in (found, expected))
    return one.equals(other)


@pytest.mark.parametrize("interface", ["v3", "v1"])
@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.NONE, Fault.ROW_MISSING}))
@pytest.mark.parametrize("at", [0, 2, 3, 9, 40])
def test_one_fault_anywhere_leaves_the_day_right_or_fails_it(
    server_company: Company, raw_from_files: Raw, interface: str, fault: Fault, at: int
) -> None:
    of = dataclasses.replace(server_company, has_v3=interface == "v3")
    faults = Faults(application(of), [*([Fault.NONE] * at), fault])
    try:
        found = from_server(faults, catalog(), [DAY])[DAY]
    except OpenMeterError:
        if fault in MENDED:
            raise
    else:
        assert right(found, raw_from_files[DAY])
    assert faults.happened[fault] == 1


ON_THE_WAY = sorted(set(Fault) - {Fault.ROW_MISSING})
"""A server that leaves out a row in a whole and valid answer is caught by the control total of meters that add up
(``test_raw_usage``) and by the stated length of lists; of the others nobody could know."""

MENDED = {
    Fault.DELAY,
    Fault.CUT_BODY,
    Fault.TOO_MANY_REQUESTS,
    Fault.ERROR_500,
    Fault.ERROR_503,
    Fault.DIGITS_17,
    Fault.UNKNOWN_ENUM,
}
"""Faults that a server gets over: another try helps, or there is nothing wrong with the answer."""


@given(
    script=st.lists(st.sampled_from([*ON_THE_WAY, *([Fault.NONE] * 20)]), max_size=REQUESTS), v3=st.booleans()
)
@settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)
def test_faults_in_any_order_leave_the_day_right_or_fail_it(
    server_company: Company, raw_from_files: Raw, script: list[Fault], v3: bool
) -> None:
    faults = Faults(application(dataclasses.replace(server_company, has_v3=v3)), script)
    # Nothing but errors of this package may come out, so nothing else is caught.
    try:
        found = from_server(faults, catalog(), [DAY])[DAY]
    except OpenMeterError:
        return
    assert right(found, raw_from_files[DAY])


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_a_fault_in_every_list_leaves_the_catalog_whole_or_fails_it(
    server_company: Company, fault: Fault
) -> None:
    def read(script: list[Fault]) -> object:
        faults = Faults(application(server_company), script)
        return asked_once(
            SourceSettings(),
            lambda server: catalog_now(server, FocusDefaults(provider_name="Test"), {}),
            connected_to(faults),
        )

    expected = read([])
    for at in range(14):
        try:
            assert read([*([Fault.NONE] * at), fault]) == expected
        except OpenMeterError:
            if fault in MENDED:
                raise


def test_many_customers_come_in_pages_and_a_page_that_repeats_is_read_again(server_company: Company) -> None:
    many = catalog(customers=[{"key": f"customer-{n}"} for n in range(250)], subscriptions=[])
    of = dataclasses.replace(server_company, catalog=many)
    for fault in (Fault.PAGE_REPEATED, Fault.PAGE_MISSING, Fault.ROW_MISSING, Fault.ROW_TWICE):
        for at in range(2, 14):
            faults = Faults(application(of), [*([Fault.NONE] * at), fault])
            try:
                found = asked_once(
                    SourceSettings(),
                    lambda server: catalog_now(server, FocusDefaults(provider_name="Test"), {}),
                    connected_to(faults),
                )
            except OpenMeterError:
                continue
            assert len(found.customers) == 250


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (
            Fault.ERROR_503,
            ServerProblem,
            r"answered 503 .*the database is being moved.*, instance urn:request:moving/42",
        ),
        (Fault.TOO_MANY_REQUESTS, ServerProblem, "answered 429.*lower source.openmeter.concurrency"),
        (Fault.CUT_BODY, AnswerCutShort, "broke off"),
        (Fault.GARBAGE, MalformedResponse, "is no JSON"),
        (Fault.WRONG_CONTENT_TYPE, MalformedResponse, "text/html; application/json was expected"),
    ],
)
def test_a_fault_that_stays_is_named_by_a_real_server(
    server_company: Company, fault: Fault, error: type[OpenMeterError], said: str
) -> None:
    def connect(settings: SourceSettings) -> Transport:
        return Transport(settings.url, environment={}, sleep=no_pause)

    faults = Faults(application(server_company), [fault] * 20)
    with (
        served(faults) as url,
        pytest.raises(error, match=said),
        OpenMeterSource(SourceSettings(url), connect).open(first_day=FIRST),  # type: ignore[arg-type]
    ):
        pass
    assert faults.happened.total() == (5 if fault not in (Fault.GARBAGE, Fault.WRONG_CONTENT_TYPE) else 1)


def test_a_real_server_that_keeps_silent_beyond_the_limit_is_asked_for_less(
    server_company: Company, raw_from_files: Raw
) -> None:
    def too_large(path: str, asked: dict[str, str]) -> bool:
        start, end = (dt.datetime.fromisoformat(asked[key]) for key in ("from", "to"))
        return "granularity" in asked and end - start > dt.timedelta(hours=12)

    def connect(settings: SourceSettings) -> Transport:
        return Transport(settings.url, environment={}, sleep=no_pause, timeout_seconds=1.5)

    from focus_assets.catalog.charges import slices_on

    known = catalog()
    faults = Faults(application(server_company), too_large=too_large, hang=3)
    with (
        served(faults) as url,
        OpenMeterSource(SourceSettings(url), connect).open(first_day=FIRST) as opened,  # type: ignore[arg-type]
    ):
        found = opened.raw_usage(DAY, known.on(DAY), slices_on(known.on(DAY), DAY)).collect()
    assert faults.happened[Fault.TOO_LARGE] > 5
    assert right(found, raw_from_files[DAY])


def test_an_answer_that_comes_byte_by_byte_has_to_be_whole_within_the_limit() -> None:
    asked = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        for byte in b'{"data":[]' + b" " * 20 + b"}":
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b""})

    def connect(settings: SourceSettings) -> Transport:
        return Transport(settings.url, environment={}, sleep=no_pause, timeout_seconds=0.5)

    with (
        served(slow) as url,
        pytest.raises(ServerTooSlow, match=r"/meters: no whole answer within 0\.5 s"),
        OpenMeterSource(SourceSettings(url), connect).open(first_day=FIRST),  # type: ignore[arg-type]
    ):
        pass
    assert len(asked) == 1, "the same question would take as long once more"


def test_a_server_that_is_not_there_is_named() -> None:
    def connect(settings: SourceSettings) -> Transport:
        return Transport(settings.url, environment={}, sleep=no_pause)

    source = OpenMeterSource(SourceSettings("http://127.0.0.1:9"), connect)  # type: ignore[arg-type]
    with (
        pytest.raises(ServerUnreachable, match=r"GET http://127.0.0.1:9/api/v3"),
        source.open(first_day=FIRST),
    ):
        pass


def test_the_token_comes_from_the_environment_and_is_in_no_message(server_company: Company) -> None:
    of = dataclasses.replace(server_company, token="right-token")
    app = application(of)
    found = from_server(app, catalog(), [DAY], environment={"OPENMETER_TOKEN": "right-token"})
    assert found[DAY].height > 0
    with pytest.raises(NotAuthorized, match="Set OPENMETER_TOKEN") as refused:
        from_server(app, catalog(), [DAY], environment={"OPENMETER_TOKEN": "wrong-token"})
    assert "wrong-token" not in str(refused.value)


def answered(
    answer: Callable[[httpx.Request], httpx.Response], **environment: str
) -> Callable[..., Transport]:
    def connect(settings: SourceSettings) -> Transport:
        return Transport(
            settings.url, environment=environment, transport=httpx.MockTransport(answer), sleep=no_pause
        )

    return connect


def test_a_server_that_repeats_the_token_in_an_error_does_not_get_it_into_ours() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        document = {"title": "no", "detail": f"not you: {request.headers['authorization']}", "instance": "x"}
        return httpx.Response(403, json=document, headers={"content-type": "application/problem+json"})

    source = OpenMeterSource(SourceSettings(), answered(echo, OPENMETER_TOKEN="tell-no-one"))  # type: ignore[arg-type]
    with pytest.raises(NotAuthorized, match=r"Bearer \*\*\*") as error, source.open(first_day=FIRST):
        pass
    assert "tell-no-one" not in str(error.value)


def test_redirects_are_not_followed() -> None:
    asked = []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": "https://elsewhere.test/api"})

    source = OpenMeterSource(SourceSettings(), answered(elsewhere, OPENMETER_TOKEN="secret"))  # type: ignore[arg-type]
    with (
        pytest.raises(UnexpectedRedirect, match=r"to elsewhere\.test, which is not followed"),
        source.open(first_day=FIRST),
    ):
        pass
    assert asked == ["openmeter.test"]


@pytest.mark.parametrize("status", [302, 304])
def test_a_redirect_to_nowhere_is_named(status: int) -> None:
    source = OpenMeterSource(SourceSettings(), answered(lambda request: httpx.Response(status)))  # type: ignore[arg-type]
    with (
        pytest.raises(UnexpectedRedirect, match=rf"\({status}\) to an address it does not name"),
        source.open(first_day=FIRST),
    ):
        pass

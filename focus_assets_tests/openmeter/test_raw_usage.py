"""What a day's ``raw_usage`` is when a server gives it: the same as from the files."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import httpx
import polars as pl
import pytest
from starlette.types import Message, Receive, Scope, Send

from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import RAW_USAGE
from focus_assets.openmeter.errors import (
    ControlTotalDiffers,
    MeterChanged,
    MeterMissing,
    NotAnOpenMeter,
    SubjectsMoved,
    ValueTooLarge,
)
from focus_assets.openmeter.splitting import combined
from focus_assets.usage.normalize import normalized_usage
from focus_assets_tests.openmeter.company import (
    DAYS,
    FIRST,
    METERS,
    Asked,
    catalog,
    company,
    events,
    from_files,
    from_server,
    validated,
    write,
)
from focus_assets_tests.openmeter_server.app import Company, application, problem
from focus_assets_tests.openmeter_server.faults import Fault, Faults
from focus_assets_tests.openmeter_server.running import SourceSettings, served
from focus_assets_tests.openmeter_server.validation import Validated, available

Raw = dict[dt.date, pl.DataFrame]


def normalized(raw: Raw, known: Catalog) -> Raw:
    return {day: normalized_usage(frame.lazy(), known.on(day)).collect() for day, frame in raw.items()}


def without_requests(frame: pl.DataFrame) -> pl.DataFrame:
    """Files answer a day as one question, and a server as several; its averages end with the digits of a float."""
    rounded = pl.when(pl.col("meter") == "seats_avg").then(pl.col("value").round(9)).otherwise("value")
    return frame.drop("request").with_columns(rounded.alias("value"))


@pytest.mark.parametrize("interface", ["v3", "v1"])
def test_files_and_server_give_the_same_rows(
    server_company: Company, raw_from_files: Raw, interface: str
) -> None:
    of = dataclasses.replace(server_company, has_v3=interface == "v3")
    found = from_server(validated(of), catalog())
    for day in DAYS:
        assert found[day].schema == RAW_USAGE.schema
        assert without_requests(found[day]).equals(without_requests(raw_from_files[day]))
        assert found[day].filter(pl.col("kind") == "to_date").height > 0
    assert normalized(found, catalog())[DAYS[0]].equals(normalized(raw_from_files, catalog())[DAYS[0]])


@pytest.mark.parametrize("window", ["minute", "day"])
def test_files_and_server_agree_on_windows_of_any_length(
    server_company: Company, event_files: Path, window: str
) -> None:
    import duckdb

    from focus_assets.catalog.charges import slices_on
    from focus_assets.cloudevents import CloudEventsSource
    from focus_assets_tests.cloudevents.opening import Settings as EventFiles

    day, known = DAYS[2], catalog()
    with duckdb.connect() as connection:
        source = CloudEventsSource(EventFiles(str(event_files), window=window), connection)
        with source.open(DAYS, known.meters) as opened:
            expected = opened.raw_usage(day, known.on(day), slices_on(known.on(day), day)).collect()
    found = from_server(application(server_company), known, [day], Asked(SourceSettings(window=window)))[day]
    assert without_requests(found).equals(without_requests(expected))


def test_a_real_server_gives_the_same_rows(server_company: Company, raw_from_files: Raw) -> None:
    from focus_assets.catalog.charges import slices_on
    from focus_assets.openmeter import OpenMeterSource

    app, known, day = Validated(application(server_company)), catalog(), DAYS[1]
    with served(app) as url, OpenMeterSource(SourceSettings(url)).open(first_day=FIRST) as opened:
        found = opened.raw_usage(day, known.on(day), slices_on(known.on(day), day)).collect()
        assert opened.counts(day)["rows"] == found.height
        assert opened.quarantined(day).collect().is_empty()
    assert without_requests(found).equals(without_requests(raw_from_files[day]))
    assert app.judged > 10 or not available()


def test_konnect_is_named_by_its_v3_address_and_gives_the_same_rows(
    server_company: Company, raw_from_files: Raw
) -> None:
    app, paths = application(dataclasses.replace(server_company, token="of-konnect")), set()

    async def konnect(scope: Scope, receive: Receive, send: Send) -> None:
        paths.add(scope["path"].split("/openmeter/")[0])
        await app({**scope, "path": f"/api{scope['path']}"}, receive, send)

    how = Asked(SourceSettings("http://us.api.konghq.test/v3"))
    found = from_server(konnect, catalog(), [DAYS[0]], how, environment={"OPENMETER_TOKEN": "of-konnect"})
    assert without_requests(found[DAYS[0]]).equals(without_requests(raw_from_files[DAYS[0]]))
    assert paths == {"/v3"}


@pytest.mark.parametrize("url", ["http://openmeter.test", "http://openmeter.test/v3"])
def test_an_address_of_something_else_is_named(server_company: Company, url: str) -> None:
    neither = application(dataclasses.replace(server_company, has_v3=False, has_v1=False))
    with pytest.raises(NotAnOpenMeter, match=r"Set source\.openmeter\.url to the server's address"):
        from_server(neither, catalog(), [DAYS[0]], Asked(SourceSettings(url)))


@pytest.mark.skipif(not available(), reason="OpenMeter's OpenAPI documents are not here")
def test_a_real_server_does_not_answer_what_the_interface_does_not_say() -> None:
    async def odd(scope: Scope, receive: Receive, send: Send) -> None:
        body = b'{"data":[{"key":"no id"}],"meta":{"page":{"number":1,"size":1,"total":1}}}'
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    with served(Validated(odd)) as url:
        answer = httpx.get(f"{url}/api/v3/openmeter/meters")
    assert answer.status_code == 500


def test_a_row_names_the_request_that_asked_for_it(server_company: Company) -> None:
    found = from_server(application(server_company), catalog(), [DAYS[1]])[DAYS[1]]
    tokens = found.filter(pl.col("meter") == "tokens")
    asked = {subject: json.loads(text) for subject, text in tokens.select("subject", "request").iter_rows()}
    assert asked["ann-1"] == {
        "meter": "tokens",
        "from": "2026-08-02T00:00:00Z",
        "to": "2026-08-03T00:00:00Z",
        "group_by": ["kind", "model", "subject"],
        "granularity": "PT1H",
    }
    assert asked["bob"]["subjects"] == ["bob"]
    assert {asked["bob"]["from"], asked["bob"]["to"]} & {"2026-08-02T13:22:07Z"}


def test_equal_days_give_equal_bytes(server_company: Company) -> None:
    one, other = (from_server(application(server_company), catalog(), DAYS[:2]) for _ in range(2))
    assert all(one[day].equals(other[day]) for day in DAYS[:2])


def test_usage_of_unknown_subjects_is_kept(server_company: Company) -> None:
    found = from_server(application(server_company), catalog(), [DAYS[0]])[DAYS[0]]
    assert found.filter(pl.col("subject") == "stranger").height > 0


def test_charges_that_began_before_the_first_day_get_their_opening_quantity(
    server_company: Company, raw_from_files: Raw
) -> None:
    known, first = catalog(), DAYS[2]
    how = Asked(first_day=first)
    found = from_server(validated(server_company), known, DAYS[2:], how)
    opening = found[first].filter(pl.col("kind") == "opening")
    assert opening.height > 10
    assert found[DAYS[3]].filter(pl.col("kind") == "opening").is_empty()
    assert opening["window_to"].unique().to_list() == [dt.datetime(2026, 8, 3, tzinfo=dt.UTC)]
    values = {
        (meter, charge): value
        for meter, charge, value in opening.select("meter", "charge_id", "value").iter_rows()
    }
    before = pl.concat([raw_from_files[day] for day in DAYS[:2]])
    ann = before.filter(pl.col("meter") == "requests", pl.col("subject").is_in(["ann", "ann-1", "ann-2"]))
    assert values["requests", "ann/basic/requests/20260801T000000Z"] == ann["value"].sum()
    seats = raw_from_files[DAYS[1]].filter(
        pl.col("kind") == "to_date", pl.col("charge_id") == "ann/basic/seats_unique_count/20260801T000000Z"
    )
    assert (
        values["seats_unique_count", "ann/basic/seats_unique_count/20260801T000000Z"] == seats["value"].item()
    )


@pytest.mark.parametrize("fault", [Fault.ROW_TWICE, Fault.ROW_MISSING])
def test_rows_that_do_not_add_up_to_the_days_total_fail_the_day_with_both_figures(
    server_company: Company, fault: Fault
) -> None:
    known = Catalog.model_validate(
        {
            **catalog().model_dump(),
            "meters": METERS_THAT_ADD_UP,
            "features": [],
            "plans": [],
            "subscriptions": [],
        }
    )
    spoiled = Faults(application(server_company), [Fault.NONE] * 3 + [fault])
    with pytest.raises(
        Exception, match=r"two rows of|add up to .* but the server's total of the day is"
    ) as error:
        from_server(spoiled, known, [DAYS[0]], Asked(SourceSettings(concurrency=1)))
    if fault is Fault.ROW_MISSING:
        assert isinstance(error.value, ControlTotalDiffers)


METERS_THAT_ADD_UP = [meter.model_dump() for meter in catalog().meters[:2]]


def test_a_customer_whose_subjects_moved_is_refused_where_parts_do_not_make_the_whole(
    server_company: Company,
) -> None:
    moved = catalog(
        customers=[
            {"key": "ann", "subject_keys": ["ann-1"]},
            {"key": "bob"},
            {"key": "cy", "subject_keys": ["cy-1"]},
        ]
    )
    of = dataclasses.replace(server_company, catalog=moved)
    with pytest.raises(
        SubjectsMoved, match="that day its subjects were ann, ann-1, ann-2; OpenMeter now has"
    ):
        from_server(application(of), catalog(), [DAYS[0]])


def with_subjects_of_ann(*subjects: str) -> Catalog:
    cy = {"key": "cy", "subject_keys": ["cy-1"]}
    return catalog(customers=[{"key": "ann", "subject_keys": subjects}, {"key": "bob"}, cy])


@pytest.mark.parametrize("interface", ["v3", "v1"])
@pytest.mark.parametrize(
    ("then", "now"),
    [(["ann-1", "ann-2"], ["ann-1", "ann-2", "new"]), (["ann-1", "ann-2", "gone"], ["ann-1", "ann-2"])],
)
def test_subjects_without_usage_may_come_and_go(
    server_company: Company, raw_from_files: Raw, then: list[str], now: list[str], interface: str
) -> None:
    of = dataclasses.replace(server_company, catalog=with_subjects_of_ann(*now), has_v3=interface == "v3")
    found = from_server(application(of), with_subjects_of_ann(*then), [DAYS[0]])[DAYS[0]]
    one, other = (
        without_requests(raw).filter(pl.col("kind") == "to_date") for raw in (found, raw_from_files[DAYS[0]])
    )
    assert one.equals(other)


def test_a_customer_that_is_gone_is_asked_for_by_the_one_subject_that_has_usage(tmp_path: Path) -> None:
    office = {"kind": "seats", "office": "north"}
    template = next(each for each in events() if each["type"] == "seats")
    used = [
        {**template, "id": str(n), "subject": "ann-1", "data": {**office, "seats": n % 3}} for n in range(7)
    ]
    known = catalog()
    folder = write(tmp_path / "events", used)
    with company(folder, known) as of:
        of.catalog = catalog(
            customers=[{"key": key} for key in ("anne", "bob", "cy")],
            subscriptions=[],
            plans=[],
        )
        found = from_server(application(of), known, [FIRST])[FIRST].filter(pl.col("kind") == "to_date")
    values = dict(found.select("meter", "value").iter_rows())
    assert values["seats_unique_count"] == 3
    assert values["seats_avg"].quantize(Decimal("1e-9")) == Decimal("0.857142857"), "0 1 2 0 1 2 0"


@pytest.mark.parametrize("interface", ["v3", "v1"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"aggregation": "COUNT", "value_property": None}, r"COUNT of 'prompt' on http"),
        ({"aggregation": "MAX"}, r"MAX of \$\.tokens of 'prompt' on http"),
        ({"value_property": "$.words"}, r"SUM of \$\.words of 'prompt' on http"),
        ({"event_type": "answer"}, r"SUM of \$\.tokens of 'answer' on http"),
    ],
)
def test_a_meter_that_was_made_anew_under_its_slug_is_not_read_as_the_old_one(
    server_company: Company, interface: str, change: dict[str, str], told: str
) -> None:
    tokens, *others = (meter.model_dump() for meter in catalog().meters)
    of = dataclasses.replace(
        server_company, catalog=catalog(meters=[{**tokens, **change}, *others]), has_v3=interface == "v3"
    )
    with pytest.raises(
        MeterChanged,
        match=r"meter 'tokens' is SUM of \$\.tokens of 'prompt' in the day's catalog, and " + told,
    ):
        from_server(application(of), catalog(), [DAYS[0]])


def test_a_meter_the_server_does_not_have_is_named(server_company: Company) -> None:
    fewer = catalog(meters=catalog().meters[1:], features=[], plans=[], subscriptions=[])
    of = dataclasses.replace(server_company, catalog=fewer)
    with pytest.raises(MeterMissing, match="meter 'tokens' is in the catalog, but not on"):
        from_server(application(of), catalog(), [DAYS[0]])


def test_queries_longer_than_the_time_limit_are_asked_in_parts(
    server_company: Company, raw_from_files: Raw
) -> None:
    def too_large(path: str, asked: dict[str, object]) -> bool:
        start, end = (dt.datetime.fromisoformat(str(asked[key])) for key in ("from", "to"))
        subjects = asked.get("filters", {}).get("dimensions", {}).get("subject", {}).get("in", ())  # type: ignore[attr-defined]
        if asked.get("granularity") is None:
            return False
        return end - start > dt.timedelta(hours=1) or (len(subjects) != 1)

    faults = Faults(application(server_company), too_large=too_large)
    found = from_server(faults, catalog(), [DAYS[0]])
    assert without_requests(found[DAYS[0]]).equals(without_requests(raw_from_files[DAYS[0]]))
    assert faults.happened[Fault.TOO_LARGE] > 50


@pytest.mark.parametrize("status", [413, 500, 504])
def test_a_query_that_the_server_says_is_too_large_is_asked_in_parts(
    server_company: Company, raw_from_files: Raw, status: int
) -> None:
    app, refused = application(server_company), 0

    async def small(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal refused
        asked = json.loads((await receive())["body"] or b"{}")

        async def again() -> Message:
            return {"type": "http.request", "body": json.dumps(asked).encode()}

        bounds = (asked.get("from"), asked.get("to"))
        too_large = "granularity" in asked and bounds == ("2026-08-01T00:00:00Z", "2026-08-02T00:00:00Z")
        refused += too_large
        await (problem(status, "memory limit exceeded") if too_large else app)(scope, again, send)

    found = from_server(small, catalog(), [DAYS[0]])[DAYS[0]]
    assert without_requests(found).equals(without_requests(raw_from_files[DAYS[0]]))
    assert refused == (5 if status == 500 else 1) * len(METERS)


def huge(meter: Meter, *values: str) -> Decimal:
    return combined(meter, [Decimal(value) for value in values])


def test_parts_of_a_split_question_come_to_the_whole_to_the_last_digit() -> None:
    tokens = catalog().meter["tokens"]
    assert huge(tokens, "1234567890123456789", "0.0000000000000000001") == Decimal(
        "1234567890123456789.0000000000000000001"
    )
    with pytest.raises(ValueTooLarge, match=r"meter 'tokens': 2 parts come to 18000000000000000000; values"):
        huge(tokens, "9000000000000000000", "9000000000000000000")


def test_fractions_survive_binary_floats_of_17_digits(tmp_path: Path) -> None:
    template = next(iter(events()))
    found = [
        {**template, "id": str(i), "data": {"tokens": value, "model": "large"}}
        for i, value in enumerate(["0.1", "0.2", "1e-7", "123456.789", "-0.3"])
    ]
    known = catalog(plans=[], subscriptions=[])
    folder = write(tmp_path / "events", found)
    with company(folder, known) as of:
        spoiled = Faults(application(of), [Fault.DIGITS_17] * 100)
        raw = from_server(spoiled, known, [FIRST])
    assert normalized(raw, known)[FIRST].equals(normalized(from_files(folder, known, [FIRST]), known)[FIRST])
    total = normalized(raw, known)[FIRST].filter(pl.col("meter") == "tokens")["quantity"].sum()
    assert total == Decimal("123456.7890001")

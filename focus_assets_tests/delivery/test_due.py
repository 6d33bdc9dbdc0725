"""What is due where, as a table."""

import datetime as dt

import polars as pl
import pytest

from focus_assets.delivery import BillingMonth, billing_months, due
from focus_assets.delivery.ledger import SCHEMA, terms_of
from focus_assets.delivery.months import DATASET
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.delivery.focus_rows import days, row, write_day

DAY = dt.date(2026, 8, 1)
OLD = {"2026-08": BillingMonth("2026-08", {DAY: "a"})}
NEW = {"2026-08": BillingMonth("2026-08", {DAY: "b"})}
EMPTY_DAY_ADDED = {"2026-08": BillingMonth("2026-08", {DAY: "a", dt.date(2026, 8, 2): "e"})}
TWO = OLD | {"2026-09": BillingMonth("2026-09", {dt.date(2026, 9, 1): "c"})}
A = Destination(name="a", url="s3://bucket/a")
B = Destination(name="b", url="s3://bucket/b")
MOVED = Destination(name="a", url="s3://bucket/elsewhere")
NARROWED = Destination(name="a", url="s3://bucket/a", customers=("acme",))
UPGRADED = Destination(name="a", url="s3://bucket/a", focus_version="1.4")


def entry(destination, months, month="2026-08", sequence=1):
    return {
        "destination": destination.name,
        "billing_month": month,
        "sequence": sequence,
        "source_digest": months[month].source_digest,
        "terms_digest": terms_of(destination),
    }


CASES = {
    "nothing was ever delivered": (OLD, [B, A], [], [("2026-08", ["a", "b"])]),
    "a repeated tick": (OLD, [A, B], [entry(A, OLD), entry(B, OLD)], []),
    "a destination was added later": (OLD, [A, B], [entry(A, OLD)], [("2026-08", ["b"])]),
    "a day was restated": (NEW, [A], [entry(A, OLD)], [("2026-08", ["a"])]),
    "the restated day was delivered": (NEW, [A], [entry(A, OLD), entry(A, NEW, sequence=2)], []),
    "a day went back to what it was": (
        OLD,
        [A],
        [entry(A, OLD), entry(A, NEW, sequence=2)],
        [("2026-08", ["a"])],
    ),
    "an empty day came to it": (EMPTY_DAY_ADDED, [A], [entry(A, OLD)], [("2026-08", ["a"])]),
    "one destination was down": (
        NEW,
        [A, B],
        [entry(A, OLD), entry(B, OLD), entry(A, NEW, sequence=2)],
        [("2026-08", ["b"])],
    ),
    "another month came": (TWO, [A], [entry(A, OLD)], [("2026-09", ["a"])]),
    "a destination moved": (OLD, [MOVED], [entry(A, OLD)], [("2026-08", ["a"])]),
    "its scope changed": (OLD, [NARROWED], [entry(A, OLD)], [("2026-08", ["a"])]),
    "its version changed": (OLD, [UPGRADED], [entry(A, OLD)], [("2026-08", ["a"])]),
    "there is no destination": (OLD, [], [], []),
    "entries of a destination that is gone": (OLD, [A], [entry(B, OLD), entry(A, OLD)], []),
}


@pytest.mark.parametrize(("months", "destinations", "entries", "expected"), CASES.values(), ids=CASES)
def test_due_when(months, destinations, entries, expected):
    ledger = pl.DataFrame(entries, schema={name: SCHEMA[name] for name in entries[0]} if entries else SCHEMA)

    assert [tuple(each) for each in due(months, destinations, ledger, months)] == expected


def test_a_month_that_is_not_eligible_waits():
    assert due(TWO, [A], pl.DataFrame(schema=SCHEMA), ["2026-09", "2026-10"]) == [("2026-09", ["a"])]


def test_the_order_of_a_scope_s_customers_does_not_matter():
    one = Destination(name="a", url="s3://bucket/a", customers=("acme", "globex"))
    other = Destination(name="a", url="s3://bucket/a/", customers=("globex", "acme"))

    assert terms_of(one) == terms_of(other)


AUGUST_OVER = dt.date(2026, 8, 31)
CLOSED = {"2026-08": BillingMonth("2026-08", {DAY: "a", AUGUST_OVER: "b"}, estimates=0)}
STILL_OPEN = {"2026-08": BillingMonth("2026-08", {DAY: "a", AUGUST_OVER: "c"}, estimates=1)}
DAILY = Destination(name="a", url="s3://bucket/a", frequency="daily", hour=6)
AT_CLOSE = Destination(name="a", url="s3://bucket/a", frequency="period_close")
LATECOMER = Destination(name="a", url="s3://bucket/a", history="open")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-09-{text}Z")


def delivered(destination, months, when, month="2026-08"):
    return entry(destination, months, month) | {"delivered_at": at(when)}


TIMES = {
    "a daily destination gets its first delivery at once": (OLD, DAILY, [], "02T03:00", True),
    "and the next change at its hour": (NEW, DAILY, [delivered(DAILY, OLD, "01T06:00")], "02T05:59", False),
    "from its hour on": (NEW, DAILY, [delivered(DAILY, OLD, "01T06:00")], "02T06:00", True),
    "also where the hour was missed": (NEW, DAILY, [delivered(DAILY, OLD, "01T06:00")], "02T23:00", True),
    "once a day": (NEW, DAILY, [delivered(DAILY, OLD, "02T06:00")], "02T23:00", False),
    "not twice around midnight": (NEW, DAILY, [delivered(DAILY, OLD, "01T06:30")], "02T00:30", False),
    "not without a change": (OLD, DAILY, [delivered(DAILY, OLD, "01T06:00")], "05T06:00", False),
    "an open month waits for its close": (STILL_OPEN, AT_CLOSE, [], "02T06:00", False),
    "a month whose last day is not there is open": (OLD, AT_CLOSE, [], "02T06:00", False),
    "a closed month is delivered": (CLOSED, AT_CLOSE, [], "02T06:00", True),
    "and not again": (CLOSED, AT_CLOSE, [delivered(AT_CLOSE, CLOSED, "01T06:00")], "02T06:00", False),
    "a destination without history gets the open month": (STILL_OPEN, LATECOMER, [], "02T06:00", True),
    "and no month that closed before it came": (CLOSED, LATECOMER, [], "02T06:00", False),
    "but the close of a month that it has": (
        CLOSED,
        LATECOMER,
        [delivered(LATECOMER, STILL_OPEN, "01T06:00")],
        "02T06:00",
        True,
    ),
    "and every month after its first": (
        CLOSED | {"2026-07": BillingMonth("2026-07", {dt.date(2026, 7, 1): "j"})},
        LATECOMER,
        [
            entry(LATECOMER, {"2026-07": BillingMonth("2026-07", {})}, "2026-07")
            | {"delivered_at": at("01T06:00")}
        ],
        "02T06:00",
        True,
    ),
}


@pytest.mark.parametrize(("months", "destination", "entries", "now", "expected"), TIMES.values(), ids=TIMES)
def test_each_destination_is_delivered_to_when_it_wants(months, destination, entries, now, expected):
    ledger = pl.DataFrame(entries, schema={name: SCHEMA[name] for name in entries[0]} if entries else SCHEMA)

    asked = due(months, [destination], ledger, ["2026-08"], at(now))

    assert bool(asked) is expected
    assert due(months, [destination], ledger, ["2026-08"]) or not expected


def test_a_month_is_closed_once_the_lake_holds_no_estimate_of_it(tmp_path):
    lake = Lake.open(str(tmp_path / "lake"))
    for day in days("2026-08-01", "2026-08-31"):
        write_day(lake, day, [row(day, x_IsEstimated=False), row(day, "globex", x_IsEstimated=day.day == 9)])
    assert not billing_months(lake)["2026-08"].closed
    ninth = dt.date(2026, 8, 9)
    write_day(lake, ninth, [row(ninth, x_IsEstimated=False)])
    assert billing_months(lake)["2026-08"].closed
    assert lake.record(DATASET, ninth).facts["billing_months"]["2026-08"]["invoiced"] == 1


def test_a_month_is_closed_once_the_last_day_of_its_periods_is_there(tmp_path):
    """All rows so far are on an issued invoice, as a fee in advance is; the period goes on until 14 September."""
    lake = Lake.open(str(tmp_path / "lake"))
    period = at("15T00:00").replace(month=8)
    for day in days("2026-08-01", "2026-09-13"):
        write_day(
            lake, day, [row(day, x_IsEstimated=False, BillingPeriodStart=period)] if day.day == 15 else []
        )
    assert not billing_months(lake)["2026-08"].closed
    write_day(lake, dt.date(2026, 9, 14), [])
    assert billing_months(lake)["2026-08"].closed


def test_a_label_that_moved_makes_destinations_by_label_due_and_no_others() -> None:
    """The days are the same, digest by digest: labels stand in the catalog alone."""
    team = Destination(name="team", url="s3://bucket/team", customers=CustomersByLabel(labels={"team": "a"}))
    before, after = (BillingMonth("2026-08", {DAY: "a"}, last_catalog=digest) for digest in ("c1", "c2"))
    ledger = pl.DataFrame(
        [entry(d, OLD) | {"source_digest": before.source_digest_for(d)} for d in (team, A)],
        schema={name: SCHEMA[name] for name in entry(A, OLD)},
    )

    assert due({"2026-08": before}, [team, A], ledger, ["2026-08"]) == []
    assert due({"2026-08": after}, [team, A], ledger, ["2026-08"]) == [("2026-08", ["team"])]

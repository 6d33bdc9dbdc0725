"""Many destinations at once: one pass over the lake, and nothing else about what they get."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.catalog.snapshot import Catalog
from focus_assets.delivery import (
    DeliveryFailure,
    DeliveryRefused,
    DeliveryResult,
    DeliveryRun,
    DestinationError,
    by_customer,
    deliver,
    deliver_all,
    entries,
    one_pass,
    verify,
)
from focus_assets.delivery.by_customer import MonthRows, rows_by_customer
from focus_assets.delivery.datasets import in_month
from focus_assets.delivery.files import rows_in_scope
from focus_assets.delivery.manifest import Scope
from focus_assets.delivery.months import DATASET
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import at, days, frame, row, write_day

AUGUST = "2026-08"
CUSTOMERS = [f"customer-{n}" for n in range(12)]
JULY = {"BillingPeriodStart": at(dt.date(2026, 7, 15)), "BillingPeriodEnd": at(dt.date(2026, 8, 15))}


@pytest.fixture(autouse=True)
def runs_of_seven_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that every customer is in several runs of a day."""
    monkeypatch.setattr(by_customer, "ROWS_AT_A_TIME", 7)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three days of twelve customers by turns, with rows of a period begun in July among them; one day is empty."""
    opened, chance = Lake.open(str(tmp_path / "lake")), random.Random(8)
    labels = [{"key": key, "labels": {"tier": "gold" if n % 3 else "tin"}} for n, key in enumerate(CUSTOMERS)]
    catalog = Catalog.model_validate({"defaults": {"provider_name": "Example"}, "customers": labels})
    for day in days("2026-08-01", "2026-08-03"):
        names = [chance.choice(CUSTOMERS) for _ in range(40)]
        rows = [row(day, name, n, **(JULY if n % 9 == 0 else {})) for n, name in enumerate(names)]
        write_day(opened, day, [] if day.day == 2 else rows)
        opened.write("catalog", day, catalog.to_frame().lazy())
    return opened


def destinations(folder: Path) -> list[Destination]:
    """Single customers, lists that overlap, labels, everybody; versions, formats, layouts, columns, dimensions."""
    gold = CustomersByLabel(labels={"tier": "gold"})
    asked: list[dict[str, Any]] = [
        *({"customers": (name,)} for name in CUSTOMERS[:4]),
        {"customers": (CUSTOMERS[5],), "focus_version": "1.0", "format": "csv"},
        {"customers": (CUSTOMERS[0],), "focus_version": "1.4", "compression": "snappy"},
        {"customers": tuple(CUSTOMERS[:6]), "focus_version": "1.3", "layout": "aws"},
        {"customers": tuple(reversed(CUSTOMERS[3:])), "layout": "finops-hubs", "format": "csv"},
        {"customers": gold, "dimensions": {"SubAccountId": "all", "SubAccountType": "All", "RegionId": None}},
        {"customers": (CUSTOMERS[7],), "columns": ("BilledCost", "x_CustomerKey"), "partial": True},
        {"customers": ("nobody-has-this-key",), "mode": "new_version"},
        {"customers": "all"},
    ]
    return [Destination(name=f"d{n}", url=str(folder / f"{n}"), **each) for n, each in enumerate(asked)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_every_destination_gets_the_bytes_that_it_gets_when_delivered_to_alone(
    lake: Lake, tmp_path: Path
) -> None:
    alone, together = destinations(tmp_path / "alone"), destinations(tmp_path / "together")
    one_by_one = [deliver(lake, each, AUGUST, DeliveryRun(NOW)).manifest for each in alone]

    at_once = deliver_all(lake, together, AUGUST, DeliveryRun(NOW))

    assert [type(each) for each in at_once] == [DeliveryResult] * len(together)
    assert [each.manifest for each in at_once if isinstance(each, DeliveryResult)] == one_by_one
    assert sum(manifest.totals.rows for manifest in one_by_one) > 150
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert [found.problems for each in together for found in verify(each.url)] == [()] * len(together)
    assert entries(lake)["destination"].n_unique() == len(together)


def test_the_lake_is_read_once_whatever_the_number_of_destinations_and_rules_once_a_version(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from focus_assets.delivery import gate

    scanned: Counter[str] = Counter()
    checked: list[str] = []
    scan, violations = Lake.scan, gate._violations
    monkeypatch.setattr(
        Lake, "scan", lambda self, name, days: scanned.update([name]) or scan(self, name, days)
    )
    monkeypatch.setattr(gate, "_violations", lambda *about: checked.append(about[-1]) or violations(*about))
    found = {}
    for number in (1, 4, 12):
        asked = [
            Destination(name=f"d{n}", url=str(tmp_path / f"{number}-{n}"), customers=(CUSTOMERS[n],))
            for n in range(number)
        ]
        scanned.clear()
        checked.clear()
        deliver_all(lake, asked, AUGUST, DeliveryRun(NOW))
        found[number] = (scanned[DATASET], checked[:])

    # The first has seen what was found of the days and is remembered for the others.
    assert found[4] == found[12]
    assert [asked for _, asked in found.values()] == [["1.2"]] * 3, "once for all of three days"


def test_one_that_fails_does_not_stop_the_others(lake: Lake, tmp_path: Path) -> None:
    asked = destinations(tmp_path / "bucket")
    Path(asked[1].url).parent.mkdir()
    Path(asked[1].url).write_text("in the way")
    asked[2] = asked[2].model_copy(update={"columns": ("NoSuchColumn",)})
    asked[3] = asked[3].model_copy(update={"dimensions": {"ServiceCategory": "No such category"}})

    found = deliver_all(lake, asked, AUGUST, DeliveryRun(NOW))

    failed = {each.destination: each.error for each in found if isinstance(each, DeliveryFailure)}
    assert sorted(failed) == ["d1", "d2", "d3"]
    assert isinstance(failed["d1"], DestinationError)
    assert [each.destination for each in found] == [each.name for each in asked], "in the order asked for"


def test_a_scope_of_very_many_rows_is_filtered_from_the_lake(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_customer, "GATHERED", 10)
    alone, together = destinations(tmp_path / "alone"), destinations(tmp_path / "together")
    for each in alone:
        deliver(lake, each, AUGUST, DeliveryRun(NOW))

    deliver_all(lake, together, AUGUST, DeliveryRun(NOW))

    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


def test_a_day_that_is_written_again_during_the_pass_is_delivered_to_nobody(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, take_apart = dt.date(2026, 8, 1), by_customer.RowsByCustomer.take_apart

    def meanwhile(self: Any, day: dt.date, *about: Any) -> None:
        take_apart(self, day, *about)
        write_day(lake, first, [row(first, CUSTOMERS[0], 77)])

    monkeypatch.setattr(by_customer.RowsByCustomer, "take_apart", meanwhile)

    found = deliver_all(lake, destinations(tmp_path / "bucket"), AUGUST, DeliveryRun(NOW))

    assert {type(each) for each in found} == {DeliveryFailure}
    assert {type(each.error) for each in found if isinstance(each, DeliveryFailure)} == {DeliveryRefused}
    assert not (tmp_path / "bucket").exists()


def test_a_pass_that_loses_rows_delivers_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = by_customer.RowsByCustomer._keep
    monkeypatch.setattr(
        by_customer.RowsByCustomer,
        "_keep",
        lambda self, day, run, path: keep(self, day, run, path) if len(self._readers) != 2 else None,
    )

    found = deliver_all(lake, destinations(tmp_path / "bucket"), AUGUST, DeliveryRun(NOW))

    assert all(
        "taken apart by customer" in str(each.error) for each in found if isinstance(each, DeliveryFailure)
    )
    assert {type(each) for each in found} == {DeliveryFailure}


def test_few_destinations_are_not_worth_a_pass(lake: Lake, tmp_path: Path) -> None:
    passed: Any = None
    with one_pass.one_pass(lake, passed, destinations(tmp_path)[:3]) as rows:
        assert rows is None


NASTY = ("acme", "Acme", "acme ", "acme-1", "ac", "ACME", "ä", "*", "%", "null", "all", "a'b", 'a"b', "")


def test_what_was_taken_apart_holds_of_a_scope_all_rows_in_their_order_and_no_other(tmp_path: Path) -> None:
    """A thousand random scopes over tenants whose keys invite confusion, before any filter is asked."""
    chance, day, keys = random.Random(3), dt.date(2026, 8, 1), [*NASTY, *CUSTOMERS]
    rows = [
        row(day, chance.choice(keys), n, **(JULY if chance.random() < 0.2 else {})) for n in range(300)
    ] + [row(day, x_CustomerKey=None)]
    lake = Lake.open(str(tmp_path / "lake"))
    write_day(lake, day, rows)
    stored, found = frame(rows).collect().lazy(), 0
    part = MonthRows(DATASET, lambda day: lake.scan(DATASET, [day]), in_month(DATASET, AUGUST))
    with rows_by_customer(lake, part, AUGUST, [day], keys) as apart:
        for _ in range(1_000):
            scope = Scope(
                customers=tuple(chance.sample([*keys, "ACM", "acme  ", "customer-"], chance.randrange(5)))
            )
            got = apart.lake_of(scope).scan(DATASET, [day]).collect()
            wanted = rows_in_scope(stored, AUGUST, scope).collect()
            assert got.equals(wanted), scope
            assert set(got["x_CustomerKey"]) <= set(scope.customers)
            found += got.height
    assert found > 5_000
    assert isinstance(got, pl.DataFrame)

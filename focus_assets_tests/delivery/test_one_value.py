"""A service that changes its category within a billing month: who is held back by it, and what can be done."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from focus_assets.delivery import DeliveryFailure, DeliveryRefused, DeliveryRun, deliver, deliver_all
from focus_assets.focus.rules import check, rules_for
from focus_assets.lake import Lake
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import at, days, row, write_day

AUGUST = "2026-08"
MODELS = {"ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI"}
DATABASES = {"ServiceCategory": "Databases", "ServiceSubcategory": "Other (Databases)"}
ISSUED = {"x_IsEstimated": False, "InvoiceId": "INV-1"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without days."""
    return Lake.open(str(tmp_path / "lake"))


def to(tmp_path: Path, name: str = "all", **decided: object) -> Destination:
    return Destination.model_validate(
        {"name": name, "url": str(tmp_path / "to" / name), "customers": "all", **decided}
    )


def written(lake: Lake, first: dict[str, object], then: dict[str, object]) -> None:
    """Two days as ``first``, two as ``then``."""
    for day in days("2026-08-01", "2026-08-04"):
        write_day(lake, day, [row(day, **(first if day.day < 3 else then))])


def violations(destination: Destination) -> list[str]:
    files = sorted(Path(destination.url).rglob("*.parquet"))
    rows = pl.concat([pl.scan_parquet(file, missing_columns="raise") for file in files])
    return [result.rule.id for result in check(rows, rules_for(destination.focus_version)).blocking]


@pytest.mark.parametrize("again", [False, True])
def test_it_is_refused_while_it_can_be_mended(lake: Lake, tmp_path: Path, again: bool) -> None:
    if again:
        written(lake, MODELS, MODELS)
        deliver(lake, to(tmp_path), AUGUST, DeliveryRun(NOW))
    written(lake, MODELS, DATABASES)

    for _ in range(2):
        with pytest.raises(DeliveryRefused) as refused:
            deliver(lake, to(tmp_path), AUGUST, DeliveryRun(NOW))
        said = str(refused.value)
        assert "sku.ServiceName_ServiceCategory" in said
        assert "'AI and Machine Learning' on 2026-08-01 and 'Databases' on 2026-08-03" in said
        assert "--from 2026-08-01 --to 2026-08-04" in said


@pytest.mark.parametrize("issued", [ISSUED, {}])
def test_another_name_for_what_changed_mends_it_also_after_the_invoice(
    lake: Lake, tmp_path: Path, issued: dict[str, object]
) -> None:
    written(lake, MODELS | issued, DATABASES)
    with pytest.raises(DeliveryRefused, match="another ServiceName"):
        deliver(lake, to(tmp_path), AUGUST, DeliveryRun(NOW))

    written(lake, MODELS | issued, DATABASES | {"ServiceName": "Store"})
    deliver(lake, to(tmp_path), AUGUST, DeliveryRun(NOW))
    assert violations(to(tmp_path)) == []


def test_rows_of_issued_invoices_that_contradict_one_another_hold_nothing_back(
    lake: Lake, tmp_path: Path
) -> None:
    """Nothing that anybody could do would change them."""
    written(lake, MODELS | ISSUED, DATABASES | ISSUED)
    fifth = dt.date(2026, 8, 5)
    write_day(lake, fifth, [row(fifth, **DATABASES)])

    assert deliver(lake, to(tmp_path), AUGUST, DeliveryRun(NOW)).outcome == "delivered"
    assert violations(to(tmp_path)) == ["sku.ServiceName_ServiceCategory"]


def test_another_customer_s_rows_hold_nobody_back(lake: Lake, tmp_path: Path) -> None:
    for day in days("2026-08-01", "2026-08-04"):
        early = day.day < 3
        changing = row(day, "globex", **(MODELS if early else DATABASES))
        write_day(lake, day, [row(day, **MODELS), changing] if early else [changing])
    acme, globex = to(tmp_path, "a", customers=["acme"]), to(tmp_path, "g", customers=["globex"])

    delivered, refused = deliver_all(lake, [acme, globex], AUGUST, DeliveryRun(NOW))

    assert violations(acme) == []
    assert not isinstance(delivered, DeliveryFailure)
    assert isinstance(refused, DeliveryFailure)
    assert "not delivered to g:" in str(refused.error)
    assert not list(Path(globex.url).rglob("*.parquet"))


def test_what_a_destination_decides_is_asked_as_it_shows_it(lake: Lake, tmp_path: Path) -> None:
    written(lake, MODELS | {"ServiceName": "Chat"}, DATABASES | {"ServiceName": "Store"})
    one_name = to(tmp_path, "one", dimensions={"ServiceName": "Platform"})
    with pytest.raises(DeliveryRefused, match="ServiceName 'Platform' has ServiceCategory"):
        deliver(lake, one_name, AUGUST, DeliveryRun(NOW))

    written(lake, MODELS, DATABASES)
    other = {"ServiceCategory": "Other", "ServiceSubcategory": "Other (Other)"}
    deliver(lake, to(tmp_path, "other", dimensions=other), AUGUST, DeliveryRun(NOW))
    assert violations(to(tmp_path, "other")) == []


def test_it_may_change_from_one_billing_month_to_the_next(lake: Lake, tmp_path: Path) -> None:
    for day in days("2026-08-01", "2026-08-31"):
        write_day(lake, day, [row(day, **MODELS)])
    september = dt.date(2026, 9, 1)
    period = {"BillingPeriodStart": at(september), "BillingPeriodEnd": at(dt.date(2026, 10, 1))}
    write_day(lake, september, [row(september, **period, **DATABASES)])
    for month in (AUGUST, "2026-09"):
        assert deliver(lake, to(tmp_path), month, DeliveryRun(NOW)).outcome == "delivered"

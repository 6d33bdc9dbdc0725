"""Many destinations of the datasets beside Cost and Usage: each is read once, and bytes are those of each alone."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from focus_assets.catalog.snapshot import Catalog
from focus_assets.delivery import (
    DeliveryFailure,
    DeliveryRefused,
    DeliveryResult,
    DeliveryRun,
    by_customer,
    deliver_all,
    deliver_others,
    verify,
)
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.billing.weeks import AFTER, EveryDataset, Weeks
from focus_assets_tests.delivery.test_one_pass import contents
from focus_assets_tests.delivery.test_other_datasets import ALL, AUGUST, OTHERS, START, company

RUN = DeliveryRun(AFTER, since=START)


def of_three() -> dict[str, Any]:
    """Cy pays what Bob does, from another day on, and has a label that Bob has too."""
    catalog = company()
    catalog["customers"][1]["labels"] = {"tier": "gold"}
    catalog["customers"].append({"key": "cy", "labels": {"tier": "gold"}})
    catalog["subscriptions"].append(
        {"customer": "cy", "plan": "basic", "active_from": "2026-08-02T00:00:00Z"}
    )
    return catalog


USAGE = (
    (1, "ann", "tokens", "large", "61"),
    (3, "ann", "requests", None, "33"),
    (7, "bob", "requests", None, "3"),
    (4, "cy", "tokens", "small", "7"),
    (9, "cy", "requests", None, "5"),
    (8, "ann", "tokens", "large", "5"),
)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return EveryDataset(tmp_path_factory.mktemp("weeks"), catalog=of_three(), usage=USAGE).compute()


@pytest.fixture
def lake(tmp_path: Path, computed: Weeks, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Taken apart two rows at a time, so that a customer is in several runs of a day."""
    monkeypatch.setattr(by_customer, "ROWS_AT_A_TIME", 2)
    shutil.copytree(computed.root, tmp_path / "lake")
    return Lake.open(str(tmp_path / "lake"))


def destinations(folder: Path) -> list[Destination]:
    """Single customers, lists, labels, everybody; formats, layouts and dimensions."""
    asked: list[dict[str, Any]] = [
        {"customers": ("ann",)},
        {"customers": ("bob",), "format": "csv"},
        {"customers": ("cy", "ann"), "layout": "aws"},
        {"customers": CustomersByLabel(labels={"tier": "gold"}), "layout": "finops-hubs"},
        {"customers": ("bob", "cy"), "dimensions": {"InvoiceIssuerName": "Reseller"}},
        {"customers": ("nobody-has-this-key",)},
        {"customers": "all"},
    ]
    return [
        Destination(name=f"d{n}", url=str(folder / f"{n}"), focus_version="1.4", datasets=ALL, **each)
        for n, each in enumerate(asked)
    ]


def deliver_to(lake: Lake, asked: list[Destination]) -> list[DeliveryResult | DeliveryFailure]:
    return [*deliver_all(lake, asked, AUGUST, RUN), *deliver_others(lake, asked, AUGUST, RUN)]


def test_every_destination_gets_of_every_dataset_the_bytes_that_it_gets_alone(
    lake: Lake, tmp_path: Path
) -> None:
    alone, together = destinations(tmp_path / "alone"), destinations(tmp_path / "together")
    one_by_one = [result for each in alone for result in deliver_to(lake, [each])]

    at_once = deliver_to(lake, together)

    assert [each for each in [*one_by_one, *at_once] if isinstance(each, DeliveryFailure)] == []
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    rows = Counter[str]()
    for each in at_once:
        assert isinstance(each, DeliveryResult)
        rows[each.dataset] += each.manifest.totals.rows
    assert all(rows[dataset] > 5 for dataset in OTHERS), rows
    assert [found.problems for each in together for found in verify(each.url)] == [()] * 35


def test_each_dataset_is_read_as_often_for_many_destinations_as_for_four(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Counter[str]()
    scan, from_frame = Lake.scan, Catalog.from_frame
    monkeypatch.setattr(Lake, "scan", lambda self, name, days: read.update([name]) or scan(self, name, days))
    monkeypatch.setattr(
        Catalog, "from_frame", lambda frame: read.update(["catalog parsed"]) or from_frame(frame)
    )
    found = []
    for number in (4, 12):
        asked = [
            Destination(
                name=f"d{n}",
                url=str(tmp_path / f"{number}-{n}"),
                focus_version="1.4",
                datasets=ALL,
                customers=(("ann", "bob", "cy")[n % 3],),
            )
            for n in range(number)
        ]
        deliver_all(lake, asked, AUGUST, RUN)
        read.clear()
        deliver_others(lake, asked, AUGUST, RUN)
        found.append(dict(read))

    assert found[0] == found[1]
    assert found[0]["catalog parsed"] == 10, "once for each of ten days"


@pytest.mark.parametrize("dataset", ["focus_invoice_detail", "focus_price_list"])
def test_a_dataset_that_loses_rows_as_it_is_taken_apart_is_delivered_to_nobody_and_the_others_are(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    keep = by_customer.RowsByCustomer._keep
    monkeypatch.setattr(
        by_customer.RowsByCustomer,
        "_keep",
        lambda self, day, run, path: None if self.dataset == dataset else keep(self, day, run, path),
    )
    asked = destinations(tmp_path / "bucket")

    found = deliver_to(lake, asked)

    failed = [each for each in found if isinstance(each, DeliveryFailure)]
    assert [(each.destination, each.dataset) for each in failed] == [(each.name, dataset) for each in asked]
    assert all(isinstance(each.error, DeliveryRefused) for each in failed)
    assert f"{dataset} of billing month {AUGUST} was not delivered" in str(failed[0].error)
    assert len(found) == 5 * len(asked)

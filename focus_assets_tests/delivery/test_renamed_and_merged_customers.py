"""A customer gets another key, or becomes another customer: nothing of anybody moves into another's bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.delivery import DeliveryResult, DeliveryRun, deliver_all, deliver_others
from focus_assets.settings import Destination
from focus_assets_tests.billing.weeks import AFTER, START, EveryDataset, Weeks
from focus_assets_tests.delivery.test_other_datasets import ALL, AUGUST, company

LAST = 8
"""The first day of the second week; the first week has closed."""


def renamed(weeks: Weeks) -> None:
    """Bob's key is bobby from now on."""
    weeks.catalog["customers"][1]["key"] = "bobby"
    weeks.catalog["subscriptions"][1]["customer"] = "bobby"
    weeks.usage = [(n, "bobby" if who == "bob" else who, *rest) for n, who, *rest in weeks.usage]  # type: ignore[misc]


def merged(weeks: Weeks) -> None:
    """Bob is Ann from now on: what he used is hers."""
    del weeks.catalog["customers"][1], weeks.catalog["subscriptions"][1]
    weeks.usage = [(n, "ann", *rest) for n, _, *rest in weeks.usage]  # type: ignore[misc]


def buckets(root: Path, weeks: Weeks) -> dict[str, tuple[pl.DataFrame, str]]:
    """Deliver to Ann and to Bob: the rows of Cost and Usage of each, and every text in its bucket."""
    asked = [
        Destination(
            name=name,
            url=str(root / name),
            customers=(name,),
            focus_version="1.4",
            datasets=ALL,
            keep_hours=0,
        )
        for name in ("ann", "bob")
    ]
    run = DeliveryRun(AFTER, since=START)
    found: list[Any] = [
        *deliver_all(weeks.lake, asked, AUGUST, run),
        *deliver_others(weeks.lake, asked, AUGUST, run),
    ]
    assert [each for each in found if not isinstance(each, DeliveryResult)] == []
    return {each.name: _held(Path(each.url), found, each.name) for each in asked}


def _held(bucket: Path, found: list[DeliveryResult], name: str) -> tuple[pl.DataFrame, str]:
    costs = next(each for each in found if (each.destination, each.dataset) == (name, "focus_cost_and_usage"))
    rows = pl.concat(pl.read_parquet(bucket / file.path) for file in costs.manifest.files)
    named = [bucket / file.path for each in found if each.destination == name for file in each.manifest.files]
    texts = [pl.read_parquet(path).write_csv() for path in named]
    return rows, "\n".join([*texts, *(path.read_text() for path in bucket.rglob("*.json"))])


@pytest.mark.parametrize("change", [renamed, merged])
def test_nothing_moves_into_another_s_bucket(tmp_path: Path, change: Any) -> None:
    weeks = EveryDataset(tmp_path / "lake", catalog=company()).compute(1, LAST)
    before = buckets(tmp_path / "buckets", weeks)
    change(weeks)
    weeks.compute(1, LAST)

    after = buckets(tmp_path / "buckets", weeks)

    (of_ann, ann), (of_bob, bob) = after["ann"], after["bob"]
    assert "bob" not in ann
    assert "ann" not in bob
    assert "bobby" not in bob
    closed = before["bob"][0].filter(pl.col("InvoiceId").is_not_null())
    assert closed.height > 0
    assert of_bob.join(closed, on="x_ChargeId", how="semi").height >= closed.height, "what was his stays his"
    if change is renamed:
        assert of_ann.equals(before["ann"][0])
    else:
        assert of_ann["BilledCost"].sum() > before["ann"][0]["BilledCost"].sum()

"""A destination's own dimensions: applied to what it gets and to nothing else, in the manifest, held to the rules."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from focus_assets.delivery import (
    DeliveryRefused,
    DeliveryRun,
    billing_months,
    deliver,
    due,
    latest_deliveries,
    verify,
)
from focus_assets.focus.dimensions import InvalidDimension
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import row, write_day

AUGUST = "2026-08"


def rows_at(destination, manifest):
    return pl.concat(pl.read_parquet(Path(destination.url) / file.path) for file in manifest.files)


def deciding(destination, **dimensions):
    return destination.model_copy(update={"dimensions": dimensions})


def test_a_destination_gets_its_dimensions_and_the_lake_keeps_its_own(lake, destination):
    asked = deciding(destination, ServiceCategory="Databases", ServiceName="Everything", RegionId="global")
    before = lake.records("focus_cost_and_usage", lake.days("focus_cost_and_usage"))

    manifest = deliver(lake, asked, AUGUST, DeliveryRun(NOW)).manifest

    rows = rows_at(asked, manifest)
    assert set(rows["ServiceCategory"]) == {"Databases"}
    assert set(rows["ServiceSubcategory"]) == {"Other (Databases)"}
    assert set(rows["ServiceName"]) == {"Everything"}
    assert set(rows["RegionName"]) == {"global"}
    assert (
        rows["BilledCost"].sum()
        == lake.scan("focus_cost_and_usage", lake.days("focus_cost_and_usage"))
        .select(pl.col("BilledCost").sum())
        .collect()
        .item()
    )
    assert manifest.dimensions == dict(asked.dimensions)
    assert lake.records("focus_cost_and_usage", lake.days("focus_cost_and_usage")) == before
    assert verify(asked.url)[0].problems == ()


def test_another_destination_of_the_same_lake_sees_nothing_of_it(lake, destination, tmp_path):
    other = destination.model_copy(update={"name": "other", "url": str(tmp_path / "other")})
    deliver(lake, deciding(destination, ServiceName="Everything"), AUGUST, DeliveryRun(NOW))

    rows = rows_at(other, deliver(lake, other, AUGUST, DeliveryRun(NOW)).manifest)

    assert set(rows["ServiceName"]) == {"Inference"}


def test_changed_dimensions_make_a_delivery_due_and_replace_it(lake, destination):
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    asked = deciding(destination, ServiceName="Everything")
    months = billing_months(lake)

    assert due(months, [asked], latest_deliveries(lake), months) == [(AUGUST, ["warehouse"])]
    again = deliver(lake, asked, AUGUST, DeliveryRun(NOW + dt.timedelta(days=1)))
    assert again.outcome == "delivered"
    assert due(months, [asked], latest_deliveries(lake), months) == []


def test_dimensions_that_focus_does_not_have_stop_the_delivery_before_anything_is_written(lake, destination):
    with pytest.raises(InvalidDimension, match=r"destinations\[warehouse\].dimensions.ServiceCategory"):
        deliver(lake, deciding(destination, ServiceCategory="databases"), AUGUST, DeliveryRun(NOW))

    assert not Path(destination.url).exists()


def test_rows_that_break_a_rule_only_as_the_destination_shows_them_are_not_delivered(lake, destination):
    # Two regions' rows, alike but for the region: without it FOCUS cannot tell them apart.
    day = dt.date(2026, 8, 2)
    regions = [row(day, RegionId=name, RegionName=name) for name in ("eu", "us")]
    write_day(lake, day, regions)
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    with pytest.raises(DeliveryRefused, match=r"as destination warehouse shows it, FOCUS 1\.2") as refused:
        deliver(lake, deciding(destination, RegionId=None), AUGUST, DeliveryRun(NOW))

    assert "Mend dimensions, tags or columns of destinations[warehouse]" in str(refused.value)
    assert "2026-08-02" in str(refused.value)
    assert verify(destination.url)[0].manifest.dimensions == {}

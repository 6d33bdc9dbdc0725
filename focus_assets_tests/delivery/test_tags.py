"""A destination's own tags: key by key in what it gets and nowhere else, in the manifest, held to the rules."""

import datetime as dt
import json
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
from focus_assets.delivery.manifest import Manifest
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import row, write_day

AUGUST = "2026-08"
DAY = dt.date(2026, 8, 2)


def stating(destination, **tags):
    return destination.model_copy(update={"tags": tags})


def two_rows(lake):
    """One row with tags, one without; they differ in the region too."""
    tagged = row(DAY, Tags='{"acme/tier":"gold","team":"red"}')
    write_day(lake, DAY, [tagged, row(DAY, RegionId="us", RegionName="us", Tags=None)])


def tags_at(destination, manifest):
    (file,) = [each for each in manifest.files if each.charge_date == DAY]
    return pl.read_parquet(Path(destination.url) / file.path)["Tags"].to_list()


def test_a_destination_gets_its_tags_and_the_lake_keeps_its_own(lake, destination):
    two_rows(lake)
    before = lake.records("focus_cost_and_usage", [DAY])
    asked = stating(destination, team="all", **{"acme/tier": None, "for": "finance"})

    manifest = deliver(lake, asked, AUGUST, DeliveryRun(NOW)).manifest

    same = '{"for":"finance","team":"all"}'
    assert tags_at(asked, manifest) == [same, same]
    assert lake.records("focus_cost_and_usage", [DAY]) == before
    (found,) = verify(asked.url)
    assert found.problems == ()
    assert found.manifest.tags == {"acme/tier": None, "for": "finance", "team": "all"}


def test_values_of_tags_change_no_schema_and_columns_no_bytes_of_a_manifest_without_tags(
    lake, destination, tmp_path
):
    two_rows(lake)
    other = destination.model_copy(update={"name": "other", "url": str(tmp_path / "other")})
    plain = deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest
    stated = deliver(lake, stating(other, team="all"), AUGUST, DeliveryRun(NOW)).manifest

    assert stated.focus_schema.schema_id == plain.focus_schema.schema_id
    assert stated.columns == plain.columns
    assert "tags" not in json.loads(plain.to_bytes())
    assert Manifest.from_bytes(stated.to_bytes(), "here").tags == {"team": "all"}


def test_changed_tags_make_a_delivery_due_and_replace_it(lake, destination):
    two_rows(lake)
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    asked = stating(destination, team="all")
    months = billing_months(lake)

    assert due(months, [asked], latest_deliveries(lake), months) == [(AUGUST, ["warehouse"])]
    again = deliver(lake, asked, AUGUST, DeliveryRun(NOW + dt.timedelta(days=1)))
    assert again.outcome == "delivered"
    assert tags_at(asked, again.manifest)[1] == '{"team":"all"}'
    assert due(months, [asked], latest_deliveries(lake), months) == []


def test_rows_that_a_tag_alone_told_apart_are_not_delivered_without_it(lake, destination):
    write_day(lake, DAY, [row(DAY, Tags=f'{{"team":"{team}"}}') for team in ("red", "blue")])
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))

    with pytest.raises(DeliveryRefused, match=r"as destination warehouse shows it") as refused:
        deliver(lake, stating(destination, team=None), AUGUST, DeliveryRun(NOW))

    assert "Mend dimensions, tags or columns of destinations[warehouse]" in str(refused.value)

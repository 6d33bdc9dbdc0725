"""Schema, dataset instance, recency and price list."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import polars as pl
import pytest

from focus_assets.focus.columns import DATASETS, VERSIONS, versions_of
from focus_assets.focus.metadata import (
    data_generator,
    dataset_instance,
    day_sectors,
    recency,
    schema_object,
)
from focus_assets.focus.price_list import PRICE_LIST, price_list, prices_not_listed
from focus_assets.focus.schema import version_schema
from focus_assets_tests.focus.sample import clean

MONDAY = dt.datetime(2026, 10, 5, tzinfo=dt.UTC)
TUESDAY = dt.datetime(2026, 10, 6, tzinfo=dt.UTC)


def _schema(version: str = "1.2", **changes: object) -> dict[str, object]:
    return schema_object(version, **({"created": MONDAY, "generator_version": "0.1.0"} | changes))  # type: ignore[arg-type]


def test_the_schema_id_changes_when_and_only_when_columns_or_metadata_change() -> None:
    same = _schema()["SchemaId"]
    assert _schema(created=TUESDAY)["SchemaId"] == same
    others = [
        _schema("1.3"),
        _schema(generator_version="0.1.1"),
        _schema(tag_prefixes=["acme/"]),
        _schema(own_columns={"x_Zone": pl.String()}),
    ]
    assert len({same, *(other["SchemaId"] for other in others)}) == 5


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_column_is_described_in_order_with_precision_and_scale(dataset: str) -> None:
    for version in versions_of(dataset):
        described = _schema(version, dataset=dataset)["ColumnDefinition"]
        assert isinstance(described, list)
        shape = version_schema(version, dataset)
        assert [entry["ColumnName"] for entry in described] == list(shape)
        for entry in described:
            dtype = shape[entry["ColumnName"]]
            if isinstance(dtype, pl.Decimal):
                assert (entry["NumericPrecision"], entry["NumberScale"]) == (38, dtype.scale)
    json.dumps(described)


def test_a_deprecated_column_says_so_from_that_version_on() -> None:
    def provider(version: str) -> dict[str, object]:
        described = _schema(version)["ColumnDefinition"]
        assert isinstance(described, list)
        return next(entry for entry in described if entry["ColumnName"] == "ProviderName")

    assert "Deprecated" not in provider("1.2")
    assert provider("1.3")["Deprecated"] is True


def test_an_instance_keeps_its_id_and_others_have_another() -> None:
    instance = dataset_instance("finance")
    assert instance == dataset_instance("finance")
    assert instance["DatasetInstanceId"] != dataset_instance("audit")["DatasetInstanceId"]
    assert instance["DatasetInstanceId"] != dataset_instance("finance", "invoice-detail")["DatasetInstanceId"]
    assert instance["FocusDataset"] == "CostAndUsage"
    assert data_generator("Acme") == {"DataGenerator": "Acme"}


def test_recency_says_which_days_are_complete_and_is_complete_when_all_are() -> None:
    days = {MONDAY.date(): (True, TUESDAY), TUESDAY.date(): (False, TUESDAY + dt.timedelta(hours=6))}
    said = recency(dataset_instance("finance"), day_sectors(days))
    assert said["DatasetInstanceComplete"] is False
    assert said["DatasetInstanceLastUpdated"] == "2026-10-06T06:00:00Z"
    assert [
        (s["TimeSectorStart"], s["TimeSectorEnd"], s["TimeSectorComplete"]) for s in said["TimeSectors"]
    ] == [
        ("2026-10-05T00:00:00Z", "2026-10-06T00:00:00Z", True),
        ("2026-10-06T00:00:00Z", "2026-10-07T00:00:00Z", False),
    ]


def test_sectors_that_overlap_are_refused() -> None:
    [day] = day_sectors({MONDAY.date(): (True, MONDAY)})
    for sectors in ([], [day, day]):
        with pytest.raises(ValueError, match="sector"):
            recency(dataset_instance("finance"), sectors)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_price_that_is_referred_to_is_in_the_price_list(version: str) -> None:
    found = price_list(clean()).collect()
    assert found.schema == PRICE_LIST.schema
    priced = clean().filter(pl.col("ListUnitPrice").is_not_null()).collect()
    assert set(priced["SkuPriceId"].drop_nulls()) == set(found["SkuPriceId"])
    # One price at 0.03, another at 0.033333333333: a price that changes is another row.
    assert found.filter(pl.col("SkuPriceId") == "pro/tokens/usage:1").height == 2


def test_a_price_that_is_not_listed_is_found_also_where_the_row_names_no_amount() -> None:
    listed = price_list(clean())
    assert prices_not_listed(clean(), listed, PRICE_LIST.empty()).is_empty()
    rounding = clean().filter(pl.col("ListUnitPrice").is_not_null()).head(1)
    rounding = rounding.with_columns(
        pl.lit(None, pl.Decimal(38, 12)).alias(name) for name in ("ListUnitPrice", "ContractedUnitPrice")
    )
    assert prices_not_listed(rounding, listed, PRICE_LIST.empty()).is_empty()
    assert prices_not_listed(rounding, PRICE_LIST.empty(), listed).is_empty()
    assert prices_not_listed(rounding, PRICE_LIST.empty(), PRICE_LIST.empty()).height == 1


def test_a_price_says_its_model_and_tier() -> None:
    details = '{"x_PriceModel":"graduated","x_Tier":"2","x_TierFrom":"1000"}'
    rows = clean().filter(pl.col("SkuPriceId") == "pro/tokens/usage:1")
    found = price_list(rows.with_columns(SkuPriceDetails=pl.lit(details))).collect()
    assert set(found.select("PriceModel", "Tier", "TierFrom").rows()) == {("graduated", "2", Decimal(1000))}

"""Whose rows, which columns, which file format: each destination gets exactly what it asks for."""

import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from focus_assets.billing.close import ISSUED_WHILE_OPEN, ClosedPeriod
from focus_assets.catalog.snapshot import Catalog
from focus_assets.delivery import DeliveryFailure, DeliveryRun, deliver, deliver_all, verify
from focus_assets.delivery.months import DATASET
from focus_assets.delivery.terms import asked_terms
from focus_assets.focus.columns import Level, columns
from focus_assets.focus.schema import version_schema
from focus_assets.focus.selection import InvalidSelection
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import days, row, write_day

AUGUST = "2026-08"


def asking(destination: Destination, **keys: object) -> Destination:
    return Destination.model_validate(destination.model_dump(exclude_unset=True) | keys)


def delivered(lake, destination: Destination):
    result = deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    assert [problem for found in verify(destination.url) for problem in found.problems] == []
    return result.manifest, [Path(destination.url) / file.path for file in result.manifest.files]


def label(lake, **labels: dict[str, str]) -> None:
    """A catalog on each day, in which customers have labels."""
    catalog = Catalog.model_validate(
        {
            "defaults": {"provider_name": "Example"},
            "customers": [{"key": key, "labels": own} for key, own in labels.items()],
        }
    )
    for day in days("2026-08-01", "2026-08-04"):
        lake.write("catalog", day, catalog.to_frame().lazy(), inputs={}, facts=None)


def test_customers_are_chosen_by_their_labels(lake, destination):
    label(lake, acme={"tier": "gold", "team": "a"}, globex={"tier": "silver"})
    asked = asking(destination, customers=CustomersByLabel(labels={"tier": "gold"}))

    manifest, files = delivered(lake, asked)

    assert manifest.scope.customers == ("acme",)
    assert manifest.scope.labels == {"tier": "gold"}
    assert {key for file in files for key in pl.read_parquet(file)["x_CustomerKey"]} == {"acme"}


@pytest.mark.parametrize("labels", [{"tier": "gold", "team": "b"}, {"tier": "Gold"}, {"none": ""}])
def test_a_customer_that_has_not_all_labels_is_denied_and_empty_days_are_delivered(lake, destination, labels):
    label(lake, acme={"tier": "gold"}, globex={})

    manifest, _ = delivered(lake, asking(destination, customers={"labels": labels}))

    assert manifest.scope.customers == ()
    assert manifest.totals.rows == 0
    assert len(manifest.days) == 4


def test_labels_that_cannot_be_looked_up_deliver_nothing(lake, destination, tmp_path):
    asked = asking(destination, customers={"labels": {"tier": "gold"}})

    [failure] = deliver_all(lake, [asked], AUGUST, DeliveryRun(NOW))

    assert isinstance(failure, DeliveryFailure)
    assert not list(tmp_path.glob("bucket/**/*.parquet"))


def test_a_selection_has_the_mandatory_columns_and_those_asked_for_in_the_order_of_the_version(
    lake, destination
):
    manifest, files = delivered(lake, asking(destination, columns=["Tags", "SkuId", "x_CustomerKey"]))

    mandatory = [c.id for c in columns("1.2") if c.levels["1.2"] is Level.MANDATORY]
    expected = [n for n in version_schema("1.2") if n in {*mandatory, "Tags", "SkuId", "x_CustomerKey"}]
    assert [column.name for column in manifest.columns] == expected
    assert pl.read_parquet(files[0]).columns == expected
    schema = json.loads((Path(destination.url) / manifest.focus_schema.path).read_text())
    assert [entry["ColumnName"] for entry in schema["ColumnDefinition"]] == expected


def test_a_partial_delivery_has_the_columns_asked_for_alone_and_says_that_it_is(lake, destination):
    asked = asking(destination, columns=["BilledCost", "BillingCurrency"], partial=True)

    manifest, files = delivered(lake, asked)

    assert pl.read_parquet(files[0]).columns == ["BilledCost", "BillingCurrency"]
    assert manifest.partial
    assert manifest.totals.billed_cost == {"USD": "0.28"}
    assert manifest.totals.consumed_quantity == {}


def test_a_column_that_the_version_does_not_have_is_refused_with_the_nearest(lake, destination):
    with pytest.raises(
        InvalidSelection, match=r"destinations\[warehouse\].columns: FOCUS 1\.2 has no column skuid"
    ):
        deliver(lake, asking(destination, columns=["skuid"]), AUGUST, DeliveryRun(NOW))

    assert not Path(destination.url).exists()


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.4"])
def test_csv_holds_the_same_rows_as_parquet_to_the_last_digit(lake, destination, tmp_path, version):
    day = dt.date(2026, 8, 2)
    odd = {"ChargeDescription": 'Say "hi",\nthen go', "Tags": '{"a":"ü, \\"b\\""}', "SubAccountName": " x "}
    costs = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingCurrencyEffectiveCost")
    prices = (
        "ListUnitPrice",
        "ContractedUnitPrice",
        "PricingCurrencyListUnitPrice",
        "PricingCurrencyContractedUnitPrice",
    )
    small = dict.fromkeys(costs, Decimal("1e-18")) | dict.fromkeys(prices, Decimal("1e-12"))
    small |= dict.fromkeys(("PricingQuantity", "ConsumedQuantity"), Decimal("1e-6"))
    write_day(lake, day, [row(day, **odd), row(day, "globex", **small)])
    parquet, files = delivered(lake, asking(destination, focus_version=version))
    csv = asking(destination, name="texts", url=str(tmp_path / "csv"), format="csv", focus_version=version)

    manifest, packed = delivered(lake, csv)

    assert [file.suffixes for file in packed] == [[".csv", ".gz"]] * 4
    assert manifest.totals == parquet.totals
    assert manifest.columns == parquet.columns
    texts = pl.read_csv(gzip.decompress(packed[1].read_bytes()), infer_schema=False)
    rows = pl.read_parquet(files[1])
    assert texts.columns == rows.columns
    assert texts["ChargeDescription"].to_list() == rows["ChargeDescription"].to_list()
    assert texts["ChargePeriodStart"][0] == "2026-08-02T00:00:00Z"
    assert [Decimal(text) for text in texts["BilledCost"]] == rows["BilledCost"].to_list()


def test_csv_files_pass_the_rules_as_anybody_s_files_do(lake, destination):
    from click.testing import CliRunner

    from focus_assets.commands.check import command

    delivered(lake, asking(destination, format="csv"))

    done = CliRunner().invoke(command, [destination.url])
    assert done.exit_code == 0, done.output
    assert "FOCUS 1.2" in done.output


def test_equal_rows_give_equal_csv_bytes(lake, destination, tmp_path):
    _, first = delivered(lake, asking(destination, format="csv"))
    _, second = delivered(lake, asking(destination, format="csv", url=str(tmp_path / "again")))

    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


@pytest.mark.parametrize(("compression", "codec"), [(None, "ZSTD"), ("zstd", "ZSTD"), ("snappy", "SNAPPY")])
def test_parquet_is_compressed_as_asked(lake, destination, compression, codec):
    manifest, files = delivered(lake, asking(destination, compression=compression))

    assert pq.ParquetFile(files[0]).metadata.row_group(0).column(0).compression == codec
    assert manifest.compression == codec.lower()


def test_an_account_s_billing_period_is_closed_once_no_row_is_an_estimate_and_no_invoice_missing(
    lake, destination
):
    """Rows may be on an invoice while another of their period is missing, as a fee in advance is."""
    waiting = ClosedPeriod(
        "id-initech", dt.datetime(2026, 8, 1, tzinfo=dt.UTC), dt.datetime(2026, 9, 1, tzinfo=dt.UTC), "USD"
    )
    for day in days("2026-08-01", "2026-08-04"):
        rows = [row(day, name, x_IsEstimated=False) for name in ("acme", "initech")] + [row(day, "globex")]
        write_day(lake, day, rows)
    record = lake.record(DATASET, dt.date(2026, 8, 2))
    lake.write(
        DATASET,
        record.day,
        lake.scan(DATASET, [record.day]).collect().lazy(),
        inputs=record.inputs,
        facts=lambda _: record.facts | {ISSUED_WHILE_OPEN: [str(waiting)]},
    )

    manifest, _ = delivered(lake, destination)

    assert [(p.billing_account_id, p.status, f"{p.start:%F}", f"{p.end:%F}") for p in manifest.periods] == [
        ("id-acme", "Closed", "2026-08-01", "2026-09-01"),
        ("id-globex", "Open", "2026-08-01", "2026-09-01"),
        ("id-initech", "Open", "2026-08-01", "2026-09-01"),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"customers": ["acme"]},
        {"customers": {"labels": {"tier": "gold"}}},
        {"columns": ["SkuId"]},
        {"format": "csv"},
        {"compression": "snappy"},
        {"layout": "aws"},
        {"mode": "new_version"},
        {"dimensions": {"RegionId": None}},
        {"tags": {"for": None}},
    ],
)
def test_whatever_changes_what_is_delivered_changes_the_terms(destination, changed):
    assert asked_terms(asking(destination, **changed)) != asked_terms(destination)


@pytest.mark.parametrize("changed", [{"frequency": "daily"}, {"keep_hours": 1}, {"compression": "zstd"}])
def test_what_does_not_change_what_is_delivered_leaves_the_terms(destination, changed):
    assert asked_terms(asking(destination, **changed)) == asked_terms(destination)

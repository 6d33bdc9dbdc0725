"""Checks of a run: each finds the one defect it is there for, names days and rows, and stops what it must."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal

import dagster as dg
import polars as pl
import pytest

import focus_assets.chain
from focus_assets.catalog.snapshot import Catalog
from focus_assets.orchestration.checks import SHOWN_ROWS, day_checks
from focus_assets.orchestration.in_process import RunFailed
from focus_assets_tests.orchestration.company import START, Company, why

Change = Callable[[pl.DataFrame], pl.DataFrame]
FOCUS = "focus_cost_and_usage"


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """Days 1 to 4 with every check passed; tests change the lake and put it right again."""
    company = Company(tmp_path_factory.mktemp("checked"))
    company.usage_of_ten_days()
    company.run("2026-08-01", "2026-08-04")
    return company


@pytest.fixture
def lake(checked: Company) -> Iterator[Company]:
    """The checked company; whatever a test rewrites is as it was when the test ends."""
    before = {path: path.read_bytes() for path in (checked.root / "lake").rglob("*") if path.name in KEPT}
    yield checked
    for path, content in before.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


KEPT = ("part-0.parquet", "_record.json")


def check_steps(company: Company, first: str, last: str) -> dg.ExecuteInProcessResult:
    """The check steps of a range run by themselves, over the lake as it is."""
    keys = {dg.AssetCheckKey(dg.AssetKey(check.asset), check.name) for check in day_checks()}
    everything = company.chain.definitions.resolve_implicit_global_asset_job_def()
    return everything.get_subset(asset_selection=set(), asset_check_selection=keys).execute_in_process(
        instance=company.instance,
        tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
        raise_on_error=False,
    )


def look(company: Company, first: str, last: str) -> dict[str, dg.AssetCheckEvaluation]:
    """Every check over the days of a range, by name."""
    result = check_steps(company, first, last)
    found = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    assert found.keys() == {check.name for check in day_checks()}
    return found


def shown(evaluation: dg.AssetCheckEvaluation, name: str) -> str:
    return str(evaluation.metadata[name].value)


def rows_shown(evaluation: dg.AssetCheckEvaluation) -> list[str]:
    return shown(evaluation, "first_rows").splitlines()[2:]


def first_twice(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([rows, rows.head(1)])


def without_first(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.slice(1)


def more_of(column: str) -> Change:
    return lambda rows: rows.with_columns(pl.col(column) + 1)


def less_of(column: str) -> Change:
    return lambda rows: rows.with_columns(pl.col(column) - 1)


def sold_to_bob(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(x_CustomerKey=pl.lit("bob"))


def called_a_fee(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(x_PriceComponent=pl.lit("flat_fee"))


def no_service(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(ServiceName=pl.lit(None, pl.String))


def no_category(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(ServiceCategory=pl.lit("Snacks"))


def negative_price(rows: pl.DataFrame) -> pl.DataFrame:
    """Price and cost turn negative together, so their product still holds."""
    return rows.with_columns(-pl.col("ContractedUnitPrice"), -pl.col("ContractedCost"))


def other_sku(rows: pl.DataFrame) -> pl.DataFrame:
    """One SkuPriceId under two SkuIds: each row is fine, together they are not."""
    return (
        rows.with_row_index("n")
        .with_columns(
            SkuId=pl.when(pl.col("n") == 0).then(pl.lit("other")).otherwise(pl.col("SkuId")),
            SkuPriceId=pl.lit("one price"),
        )
        .drop("n")
    )


TOKENS, REQUESTS = (f"ann/basic/{key}/20260801T000000Z" for key in ("tokens", "requests"))

DEFECTS: dict[str, tuple[str, str, Change, str]] = {
    "a raw row more": ("raw_rows_and_quantities", "raw_usage", first_twice, "requests"),
    "another raw value": ("raw_rows_and_quantities", "raw_usage", more_of("value"), "requests"),
    "another total": ("charge_totals", "usage_totals", more_of("quantity"), TOKENS),
    "a total too few": ("charge_totals", "usage_totals", without_first, REQUESTS),
    "an unbilled window lost": ("every_window_accounted_for", "unbilled_usage", without_first, "requests"),
    "another consumed quantity": ("consumed_quantities", FOCUS, more_of("ConsumedQuantity"), TOKENS),
    "a fee nobody owes": ("every_fee_charged_once", FOCUS, called_a_fee, TOKENS),
    "another's name": ("customers_of_charges", FOCUS, sold_to_bob, TOKENS),
    "a price off the list": ("prices_of_charges", "focus_price_list", without_first, "basic/requests/usage"),
    "a service without a name": ("required_dimensions", FOCUS, no_service, "nulls.ServiceName"),
    "a service of no category": ("required_dimensions", FOCUS, no_category, "values.ServiceCategory"),
    "a negative price": ("unit_prices_not_negative", FOCUS, negative_price, "ContractedUnitPrice_negative"),
    "another list cost": ("price_times_quantity_is_cost", FOCUS, less_of("ListCost"), "ListCost_product"),
    "another contracted cost": (
        "price_times_quantity_is_cost",
        FOCUS,
        less_of("ContractedCost"),
        "costs.ContractedCost_product",
    ),
    "two SKUs of one price": ("focus_conformance", FOCUS, other_sku, "one price"),
}


@pytest.mark.parametrize(("check", "dataset", "change", "named"), DEFECTS.values(), ids=DEFECTS)
def test_a_blocking_check_finds_its_defect_and_names_the_day_and_the_row(
    lake: Company, check: str, dataset: str, change: Change, named: str
) -> None:
    lake.rewrite(dataset, "2026-08-02", change)
    found = look(lake, "2026-08-01", "2026-08-03")[check]
    assert not found.passed
    assert found.blocking
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert shown(found, "failing_days") == "2026-08-02"
    assert shown(found, "days_checked") == "3"
    assert named in shown(found, "first_rows")
    assert all(row.startswith("| 2026-08-02 |") for row in rows_shown(found))
    assert found.metadata["failing_rows"].value == len(rows_shown(found))


def test_every_blocking_check_has_a_defect_that_it_finds() -> None:
    # Lines of invoices and kept rows need a period that has closed, credits need grants: their defects are in billing/.
    elsewhere = {"invoice_lines_reconcile", "closed_rows_unchanged", "credits_not_overdrawn"}
    found = {check for check, _, _, _ in DEFECTS.values()} | elsewhere
    assert found == {c.name for c in day_checks() if c.blocking}


def test_on_days_as_they_should_be_no_blocking_check_fails(lake: Company) -> None:
    found = look(lake, "2026-08-01", "2026-08-04")
    failed = {name for name, evaluation in found.items() if not evaluation.passed}
    assert failed == {"usage_has_a_charge"}
    assert not found["usage_has_a_charge"].blocking
    # bob subscribes on the third at 13:22; his requests and tokens before that are nobody's to pay.
    assert shown(found["usage_has_a_charge"], "failing_days") == "2026-08-01, 2026-08-02"


def test_of_many_rows_the_first_twenty_are_shown_and_all_are_counted(lake: Company) -> None:
    def wrong(rows: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([rows.head(1)] * 13).with_columns(pl.col("ListCost") + 1)

    for on in ("2026-08-01", "2026-08-03", "2026-08-04"):
        lake.rewrite(FOCUS, on, wrong)
    found = look(lake, "2026-08-01", "2026-08-04")["price_times_quantity_is_cost"]
    assert shown(found, "failing_days") == "2026-08-01, 2026-08-03, 2026-08-04"
    assert found.metadata["failing_rows"].value == 39
    assert found.description == "39 rows on 3 days, the first is 2026-08-01."
    rows = rows_shown(found)
    assert len(rows) == SHOWN_ROWS == 20
    assert [row.split()[1] for row in rows] == ["2026-08-01"] * 13 + ["2026-08-03"] * 7


def test_a_day_that_breaks_two_rules_of_a_check_is_named_once(lake: Company) -> None:
    lake.rewrite(
        FOCUS,
        "2026-08-02",
        lambda rows: rows.with_columns(pl.col("ListCost") + 1, pl.col("ContractedCost") + 1),
    )
    found = look(lake, "2026-08-02", "2026-08-03")["price_times_quantity_is_cost"]
    assert shown(found, "failing_days") == "2026-08-02"
    assert found.description is not None
    assert found.description.endswith(" rows on one day, 2026-08-02.")
    for rule in ("costs.ListCost_product", "costs.ContractedCost_product"):
        assert "must be" in shown(found, rule)
        assert rule in shown(found, "first_rows")


def test_a_missing_day_fails_the_check_step_instead_of_passing_it(lake: Company) -> None:
    result = check_steps(lake, "2026-08-04", "2026-08-05")
    assert not result.success
    assert "normalized_usage" not in {e.asset_key.path[-1] for e in result.get_asset_check_evaluations()}
    assert "raw_usage has no data for 2026-08-05" in why(result)


def test_a_run_of_one_day_is_checked_like_a_range(lake: Company) -> None:
    lake.rewrite("usage_totals", "2026-08-03", more_of("quantity"))
    found = look(lake, "2026-08-03", "2026-08-03")["charge_totals"]
    assert (shown(found, "days_checked"), shown(found, "failing_days")) == ("1", "2026-08-03")


def test_a_check_that_fails_stops_every_stage_after_it(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = vars(focus_assets.chain)["normalized_usage"]

    def losing_a_row(raw: pl.LazyFrame, catalog: Catalog) -> pl.LazyFrame:
        rows: pl.LazyFrame = make(raw, catalog)
        on_the_second = pl.col("charge_date") == START + dt.timedelta(days=1)
        return rows.filter(~(on_the_second & pl.col("subject").eq_missing("ann-2")))

    monkeypatch.setattr(focus_assets.chain, "normalized_usage", losing_a_row)
    with pytest.raises(RunFailed) as failed:
        company.run("2026-08-01", "2026-08-03")
    said = str(failed.value)
    assert (
        "\ncheck raw_rows_and_quantities of normalized_usage failed on 2026-08-02: 2 rows on one day, "
        in said
    )
    assert "| 2026-08-02 | tokens | window | 3 | 2 | 50 | 30 |" in said
    assert "Traceback" not in said
    assert "Stack Trace" not in said
    for dataset in ("usage_totals", "unbilled_usage", FOCUS):
        assert company.lake.days(dataset) == []


def test_warnings_do_not_stop_a_run_and_show_what_they_are_about(company: Company) -> None:
    company.event("2026-08-01T10:00:00Z", "stranger", tokens=5, model="small")
    company.line(
        "2026-08-02.ndjson", '{"specversion": "1.0", "time": "2026-08-02T10:00:00Z", "type": "prompt"}'
    )
    outcome = company.run("2026-08-01", "2026-08-02")
    warned = {check.check_name: check for check in outcome.checks if not check.passed}
    assert set(warned) == {"no_event_quarantined", "usage_has_a_charge"}
    assert not any(check.blocking for check in warned.values())
    quarantined = warned["no_event_quarantined"]
    assert (shown(quarantined, "failing_days"), len(rows_shown(quarantined))) == ("2026-08-02", 1)
    assert "2026-08-02.ndjson" in shown(quarantined, "first_rows")
    assert '"type": "prompt"' in shown(quarantined, "first_rows")
    assert "stranger" in shown(warned["usage_has_a_charge"], "first_rows")
    assert "subject_without_customer" in shown(warned["usage_has_a_charge"], "first_rows")
    # The good usage of both days is billed all the same.
    assert company.cost("ann", "2026-08-02") == Decimal("3.02")

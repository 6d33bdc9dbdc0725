"""Days and ranges through the whole chain: what runs, what is refused, and what the figures are."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from focus_assets.orchestration.in_process import CHAIN, RunFailed, UnknownDays, ranges
from focus_assets_tests.orchestration.company import START, Company


def day(number: int) -> dt.date:
    return START + dt.timedelta(days=number - 1)


def test_a_single_day_on_a_fresh_lake_needs_nothing_else(company: Company) -> None:
    company.run("2026-08-01")
    assert company.lake.days("focus_cost_and_usage") == [day(1)]
    # 30 tokens at 0.10, 2 requests at 0.01, 3 seats at 5; bob has not subscribed yet.
    assert company.cost("ann", "2026-08-01") == Decimal("18.02")


def test_days_add_up_over_tiers_and_peaks(company: Company) -> None:
    company.run("2026-08-01", "2026-08-10")
    # 300 tokens: 100 at 0.10 and 200 at 0.05; 20 requests at 0.01; a peak of 7 seats at 5.
    assert company.cost("ann", "2026-08-01", "2026-08-10") == Decimal("20") + Decimal("0.2") + Decimal("35")
    # Day 4 takes ann from 90 to 120 tokens: 10 in the first tier, 20 in the second, with no seat more.
    assert company.cost("ann", "2026-08-04") == Decimal("2.02")


def test_usage_before_the_second_in_which_a_subscription_begins_is_not_billed(company: Company) -> None:
    company.event("2026-08-03T13:22:06Z", "bob", tokens=1, model="small")
    company.event("2026-08-03T13:22:07Z", "bob", tokens=2, model="small")
    company.run("2026-08-01", "2026-08-03")
    assert company.cost("bob", "2026-08-03") == Decimal("2.2") + Decimal("0.02")
    unbilled = company.lake.scan("unbilled_usage", [day(3)]).collect()
    assert unbilled["reason"].unique().to_list() == ["outside_every_rate_card"]
    assert dict(unbilled.select("meter", "quantity").iter_rows()) == {"tokens": 1, "requests": 1}


def test_a_range_gives_the_same_files_as_its_days_one_by_one(company: Company, tmp_path: Path) -> None:
    company.run("2026-08-01", "2026-08-05")
    at_once = {(d, n): company.lake.record(d, day(n)) for d in CHAIN for n in range(1, 6)}
    for number in range(1, 6):
        for dataset in CHAIN:
            for file in (tmp_path / "lake" / dataset / f"charge_date={day(number)}").iterdir():
                file.unlink()
        company.run(f"{day(number)}")
    assert {key: company.lake.record(*key_of(key)) for key in at_once} == at_once


def key_of(key: tuple[str, int]) -> tuple[str, dt.date]:
    return key[0], day(key[1])


def test_every_day_of_a_range_has_metadata_of_its_own(company: Company) -> None:
    company.event("2026-08-02T10:00:00Z", "ann-1", tokens=5, model="third")
    company.run("2026-08-01", "2026-08-03")
    for dataset in CHAIN:
        records = company.instance.fetch_materializations(dg.AssetKey(dataset), limit=10).records
        shown = {
            record.partition_key: record.asset_materialization.metadata["dagster/partition_row_count"].value
            for record in records
            if record.asset_materialization is not None
        }
        held = {f"{day(n)}": company.lake.record(dataset, day(n)) for n in (1, 2, 3)}
        assert shown == {key: record.rows for key, record in held.items() if record is not None}
    rows = [company.lake.record("raw_usage", day(n)) for n in (1, 2)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert rows[0].rows != rows[1].rows


def test_the_ui_shows_for_each_meter_which_layer_decides_each_dimension(company: Company) -> None:
    company.configuration["defaults"]["tags"] = {"environment": "test"}
    company.run("2026-08-01")
    [newest] = company.instance.fetch_materializations(dg.AssetKey("catalog"), limit=1).records
    assert newest.asset_materialization is not None
    shown = str(newest.asset_materialization.metadata["dimensions"].value)
    for meter in ("tokens", "requests", "seats"):
        decided = "| default | Test Service | defaults.dimensions.ServiceName |"
        assert f"| {meter} |  | ServiceName {decided}" in shown
        assert f"| {meter} |  | Tags.environment | default | test | defaults.tags.environment |" in shown


def test_a_day_whose_earlier_totals_are_missing_names_the_range_and_the_command(company: Company) -> None:
    company.run("2026-08-01")
    with pytest.raises(RunFailed) as failed:
        company.run("2026-08-05", "2026-08-06")
    assert "2026-08-02 to 2026-08-04" in str(failed.value)
    assert "focus-assets materialize --from 2026-08-02 --to 2026-08-04" in str(failed.value)
    assert company.lake.days("focus_cost_and_usage") == [day(1)]


def test_a_charge_begun_before_the_start_date_is_refused_unless_it_opens_at_zero(company: Company) -> None:
    company.configuration["subscriptions"][0]["active_from"] = "2026-07-20T00:00:00Z"
    with pytest.raises(RunFailed) as failed:
        company.run("2026-08-01")
    assert "ann/basic/requests/20260720T000000Z" in str(failed.value)
    assert "opening: zero" in str(failed.value)
    assert company.lake.days("raw_usage") == []

    company.configuration["opening"] = "zero"
    company.run("2026-08-01")
    assert company.cost("ann", "2026-08-01") == Decimal("18.02")


def test_a_restated_day_makes_the_later_days_of_its_rating_periods_stale(company: Company) -> None:
    company.run("2026-08-01", "2026-08-05")
    company.event("2026-08-02T12:00:00Z", "ann-1", tokens=1000, model="small")
    company.run("2026-08-02")
    stale = [n for n in range(1, 6) if company.lake.stale_inputs("focus_cost_and_usage", day(n))]
    assert stale == [3, 4, 5]

    company.run("2026-08-03", "2026-08-05")
    assert not [n for n in range(1, 6) if company.lake.stale_inputs("focus_cost_and_usage", day(n))]
    # 150 tokens and 1000 more: 100 at 0.10, 1050 at 0.05; 11 requests; 5 seats.
    assert company.cost("ann", "2026-08-01", "2026-08-05") == Decimal("62.5") + Decimal("0.11") + Decimal(
        "25"
    )


def test_days_that_are_no_partition_are_refused_with_those_that_are(company: Company) -> None:
    with pytest.raises(UnknownDays, match="2026-08-01 to 2026-08-10"):
        company.run("2026-07-31")
    with pytest.raises(UnknownDays, match="2026-08-01 to 2026-08-10"):
        company.run("2026-08-11")


def test_only_what_changed_runs_again(company: Company) -> None:
    chain = company.chain
    everything = chain.all_days()
    assert chain.days_to_run(everything) == everything
    company.run("2026-08-01", "2026-08-10")
    assert company.chain.days_to_run(everything) == []

    company.configuration["plans"][0]["rate_cards"].append(
        {
            "feature": "requests",
            "price": {"type": "unit", "amount": "0.02"},
            "valid_from": "2026-08-08T00:00:00Z",
        }
    )
    # The 7th too: it becomes the last day of the charge that the new price ends, on which a minimum would be due.
    assert company.chain.days_to_run(everything) == [day(7), day(8), day(9), day(10)]


def test_a_day_without_usage_is_written_with_its_columns_and_no_usage(company: Company) -> None:
    for file in (company.root / "events").glob("2026-08-0[12]*"):
        file.unlink()
    company.run("2026-08-01")
    for dataset in ("raw_usage", "normalized_usage", "unbilled_usage", "focus_cost_and_usage"):
        frame = company.lake.scan(dataset, [day(1)]).collect()
        assert frame.height == 0
        assert frame.width > 5
    totals = company.lake.scan("usage_totals", [day(1)]).collect()
    assert totals["charge_id"].to_list() == [
        f"ann/basic/{key}/20260801T000000Z" for key in ("requests", "seats", "tokens")
    ]


def test_adjacent_days_share_a_run_up_to_the_longest_allowed() -> None:
    days = [day(n) for n in (1, 2, 3, 5, 6, 9)]
    assert list(ranges(days, 2)) == [(day(1), day(2)), (day(3), day(3)), (day(5), day(6)), (day(9), day(9))]
    assert list(ranges(days, 31)) == [(day(1), day(3)), (day(5), day(6)), (day(9), day(9))]
    assert list(ranges([], 31)) == []

"""Months of which the lake has rows beside Cost and Usage alone: they begin before the first day of all."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.commands.whole_chain import deliver_and_tell
from focus_assets.delivery import BillingMonth, dataset_months, newest, verify
from focus_assets.delivery.dataset_months import days_to_wait_for
from focus_assets.orchestration.export_decisions import eligible_months
from focus_assets_tests.orchestration.company import Company
from focus_assets_tests.orchestration.test_emptied_months import asked

JUNE, JULY, AUGUST = "2026-06", "2026-07", "2026-08"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """Ann bought credit in June, Carl's period began in July and he used nothing; the first day is 1 August."""
    made = Company(tmp_path)
    made.usage_of_ten_days()
    made.configuration |= {
        "opening": "zero",
        "billing": {"contract_commitments": {}},
        "credits": [
            {
                "key": "prepaid",
                "customer": "ann",
                "funding_method": "external",
                "amount": "1000",
                "effective_at": "2026-06-10T00:00:00Z",
                "expires_at": "2027-06-10T00:00:00Z",
            }
        ],
    }
    made.configuration["subscriptions"][0] |= {"active_from": "2026-06-01T00:00:00Z"}
    made.configuration["customers"].append({"key": "carl"})
    made.configuration["subscriptions"].append(
        {"customer": "carl", "plan": "basic", "active_from": "2026-07-20T00:00:00Z"}
    )
    made.configuration["destinations"][0] |= {
        "focus_version": "1.4",
        "datasets": ["cost-and-usage", "billing-period", "contract-commitment", "price-list"],
    }
    made.run("2026-08-01", "2026-08-04")
    return made


def stands(company: Company) -> dict[tuple[str, str], Any]:
    """The manifests at the destination of everything, by month and dataset, after checking what they name."""
    checked = verify(company.settings.destination("everyone").url)
    assert [check.problems for check in checked] == [()] * len(checked)
    return {(c.manifest.billing_month, c.manifest.dataset): c.manifest for c in checked if c.manifest}


def test_they_are_delivered_to_whom_they_have_rows_for(company: Company) -> None:
    assert asked(company.tick()) == {
        JUNE: ["everyone"],
        JULY: ["everyone"],
        AUGUST: ["everyone", "only-bob"],
    }

    outcome = company.deliver()

    found = stands(company)
    assert sorted(key for key in found if key[0] != AUGUST) == [
        (JUNE, "focus_contract_commitment"),
        (JULY, "focus_billing_period"),
    ]
    assert [found[key].totals.rows for key in sorted(found) if key[0] != AUGUST] == [1, 1]
    assert sorted((d["destination"], d["month"], d["result"]) for d in outcome.deliveries) == [
        ("everyone", JUNE, "delivered"),
        ("everyone", JULY, "delivered"),
        ("everyone", AUGUST, "delivered"),
        ("only-bob", AUGUST, "delivered"),
    ]
    assert asked(company.tick()) == {}


def test_what_rows_count_towards_is_found_at_the_destination(company: Company) -> None:
    company.deliver()

    root, found = Path(company.settings.destination("everyone").url), stands(company)

    def rows(dataset: str) -> pl.DataFrame:
        files = [f.path for (_, of), m in found.items() if of == dataset for f in m.files]
        return pl.concat(pl.read_parquet(root / path) for path in files)

    applied = rows("focus_cost_and_usage")["ContractApplied"].drop_nulls().to_list()
    named = {element["ContractCommitmentId"] for text in applied for element in json.loads(text)["Elements"]}
    assert named == {"prepaid"} <= set(rows("focus_contract_commitment")["ContractCommitmentId"])


@pytest.mark.parametrize("recorded", [True, False])
def test_a_destination_for_the_close_waits_for_open_periods_without_charges(
    company: Company, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    """Carl's period of July says that it is open. Credit is in no period: June has nothing to wait for."""
    company.configuration["destinations"][0] |= {"frequency": "period_close"}
    if not recorded:
        # As in a lake from before records said it.
        monkeypatch.setattr(dataset_months, "OPEN", "open-otherwise")
    assert asked(company.tick()) == {JUNE: ["everyone"], AUGUST: ["only-bob"]}


def test_one_waits_for_the_days_of_all_its_datasets() -> None:
    """Of June there is credit on 1 August alone; were a period of it on the 3rd, that day would count as well."""
    held = {
        "focus_cost_and_usage": {AUGUST: BillingMonth(AUGUST, {dt.date(2026, 8, 2): "a"})},
        "focus_billing_period": {
            JUNE: BillingMonth(JUNE, {dt.date(2026, 8, 3): "b"}),
            AUGUST: BillingMonth(AUGUST, {dt.date(2026, 8, 2): "c", dt.date(2026, 8, 5): "d"}),
        },
        "focus_contract_commitment": {JUNE: BillingMonth(JUNE, {dt.date(2026, 8, 1): "e"})},
    }
    waiting = days_to_wait_for(held)
    for day, may_go in ((1, [AUGUST]), (2, []), (3, [AUGUST]), (4, [AUGUST, JUNE]), (5, [AUGUST, JUNE])):
        assert sorted(eligible_months(waiting, [dt.date(2026, 8, day)]), reverse=True) == may_go, day


@pytest.mark.parametrize("remembered", [True, False])
def test_one_that_has_lost_its_rows_is_replaced_as_empty(company: Company, remembered: bool) -> None:
    """It is found that Ann bought the credit in May; the destination had it under June."""
    company.deliver()
    company.configuration["credits"][0] |= {"effective_at": "2026-05-10T00:00:00Z"}
    company.configuration["subscriptions"][0] |= {"active_from": "2026-05-01T00:00:00Z"}
    company.run("2026-08-01", "2026-08-04")
    if not remembered:
        company.lake.store.delete(newest.PATH)
    assert asked(company.tick())[JUNE] == ["everyone"]

    company.deliver()

    held = {month: m.totals.rows for (month, of), m in stands(company).items() if "commitment" in of}
    assert (held["2026-05"], held[JUNE]) == (1, 0)
    assert asked(company.tick()) == {}


def test_they_are_delivered_by_hand_too(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    deliver_and_tell(company.settings, ["everyone"], JUNE, JULY)

    said = [line.split()[:3] for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert said == [["everyone", JUNE, "delivered"], ["everyone", JULY, "delivered"]]


def test_one_of_a_day_that_failed_its_checks_waits(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    from focus_assets_tests.orchestration.test_export_gating import break_rating

    # Days with credit are computed elsewhere than where rating is broken.
    del company.configuration["credits"]
    with monkeypatch.context() as patch:
        break_rating(patch, "2026-08-01")
        with pytest.raises(Exception, match="2026-08-01"):
            company.run("2026-08-01", "2026-08-04")
    assert asked(company.tick()) == {}


def test_one_asset_for_all_tells_of_them_too(company: Company) -> None:
    company.configuration["destination_assets"] = 1
    outcome = company.deliver()
    assert ("everyone", JUNE, "focus_contract_commitment") in {
        (each["destination"], each["month"], each["dataset"]) for each in outcome.deliveries
    }

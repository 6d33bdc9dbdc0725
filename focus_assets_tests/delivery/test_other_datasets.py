"""The datasets beside Cost and Usage at a destination: its own rows, in every layout, with a manifest each."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.delivery import (
    DeliveryResult,
    DeliveryRun,
    billing_months,
    deliver_all,
    deliver_others,
    due,
    entries,
    latest_deliveries,
    verify,
)
from focus_assets.delivery.dataset_months import months_of_dataset
from focus_assets.delivery.datasets import focus_name, others_of
from focus_assets.delivery.ledger import rebuild
from focus_assets.delivery.verify import verify_manifest
from focus_assets.focus.rules import check, rules_for
from focus_assets.lake.store import open_store
from focus_assets.settings import Destination
from focus_assets_tests.billing.weeks import AFTER, EveryDataset, Weeks, configuration

ALL = ("cost-and-usage", "billing-period", "invoice-detail", "contract-commitment", "price-list")
OTHERS = ["focus_billing_period", "focus_invoice_detail", "focus_contract_commitment", "focus_price_list"]
AUGUST = "2026-08"
START = dt.date(2026, 8, 1)


def company() -> dict[str, Any]:
    """Ann's own price of requests is 0.5, and she spends 4 at least; Bob pays what is published."""
    catalog = configuration()
    own = {"type": "unit", "amount": "0.5", "minimum_amount": "4"}
    catalog["subscriptions"][0]["rate_cards"] = [{"feature": "requests", "price": own}]
    return catalog


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return EveryDataset(tmp_path_factory.mktemp("weeks"), catalog=company()).compute()


@pytest.fixture
def weeks(tmp_path: Path, computed: Weeks) -> Weeks:
    shutil.copytree(computed.root, tmp_path / "lake")
    return EveryDataset(tmp_path / "lake", catalog=company())


def place(root: Path, **values: Any) -> Destination:
    return Destination.model_validate(
        {"name": "warehouse", "url": str(root / "bucket"), "focus_version": "1.4", "datasets": ALL, **values}
    )


def delivered(weeks: Weeks, destination: Destination) -> dict[str, DeliveryResult]:
    """What was delivered, by dataset; every delivery succeeds."""
    results = [
        *deliver_all(weeks.lake, [destination], AUGUST, DeliveryRun(AFTER, since=START)),
        *deliver_others(weeks.lake, [destination], AUGUST, DeliveryRun(AFTER, since=START)),
    ]
    assert [r for r in results if not isinstance(r, DeliveryResult)] == []
    return {r.dataset: r for r in results if isinstance(r, DeliveryResult)}


def rows(destination: Destination, result: DeliveryResult) -> pl.DataFrame:
    files = [Path(destination.url) / file.path for file in result.manifest.files]
    return pl.concat([pl.read_parquet(file) for file in files])


@pytest.mark.parametrize("layout", ["hive", "aws", "finops-hubs"])
@pytest.mark.parametrize("customers", ["all", ("ann",), ("ann", "bob")])
def test_each_dataset_has_a_manifest_of_its_own_and_keeps_the_rules(
    weeks: Weeks, tmp_path: Path, layout: str, customers: Any
) -> None:
    destination = place(tmp_path, layout=layout, customers=customers)
    results = delivered(weeks, destination)

    assert list(results) == ["focus_cost_and_usage", *OTHERS]
    checked = verify(destination.url)
    assert sorted(c.manifest.dataset for c in checked if c.manifest) == sorted(results)
    assert [c.problems for c in checked] == [()] * 5
    for dataset in OTHERS[:3]:
        found = rows(destination, results[dataset])
        assert found.height > 0
        assert check(found.lazy(), rules_for("1.4", focus_name(dataset))).violated == ()
    for each in checked:
        assert verify(each.manifest_url)[0].problems == ()


def test_a_customer_gets_nothing_of_another_in_any_dataset(weeks: Weeks, tmp_path: Path) -> None:
    bob = place(tmp_path, customers=("bob",))
    results = delivered(weeks, bob)
    for dataset in OTHERS[:3]:
        assert set(rows(bob, results[dataset]).get_column("x_CustomerKey")) <= {"bob"}
    texts = [pl.read_parquet(path).write_csv() for path in Path(bob.url).rglob("*.parquet")]
    assert not any("ann" in text for text in texts)
    # The price that Ann agreed on is in no price list but hers.
    prices = rows(bob, results["focus_price_list"])
    assert prices.height > 0
    assert 0.5 not in prices["ContractedUnitPrice"].cast(pl.Float64).to_list()
    everyone = place(tmp_path / "all")
    listed = rows(everyone, delivered(weeks, everyone)["focus_price_list"])
    assert 0.5 in listed["ContractedUnitPrice"].cast(pl.Float64).to_list()


def test_keys_agree_across_what_one_destination_gets(weeks: Weeks, tmp_path: Path) -> None:
    destination = place(tmp_path)
    found = {name: rows(destination, result) for name, result in delivered(weeks, destination).items()}
    costs, details = found["focus_cost_and_usage"], found["focus_invoice_detail"]
    key = ("InvoiceId", "InvoiceDetailId")
    invoiced = costs.filter(pl.col("InvoiceId").is_not_null())
    charged = invoiced.group_by(key).agg(pl.col("BilledCost").sum()).sort(key)
    assert charged.rows() == details.select(*key, "BilledCost").sort(key).rows()
    period = ["BillingPeriodStart", "InvoiceIssuerName"]
    assert costs.join(found["focus_billing_period"], on=period, how="anti").is_empty()
    assert costs.height == costs.join(found["focus_billing_period"], on=period).height
    applied = [json.loads(text)["Elements"] for text in costs["ContractApplied"].drop_nulls()]
    counted = {(e["ContractId"], e["ContractCommitmentId"]) for elements in applied for e in elements}
    commitments = found["focus_contract_commitment"].select("ContractId", "ContractCommitmentId")
    assert set() != counted <= set(commitments.iter_rows())
    named = costs.filter(pl.col("SkuPriceId").is_not_null(), pl.col("ListUnitPrice").is_not_null())
    prices = ["SkuPriceId", "ListUnitPrice", "ContractedUnitPrice"]
    assert named.join(found["focus_price_list"], on=prices, how="anti").is_empty()


def test_a_price_is_listed_once_in_a_month(weeks: Weeks, tmp_path: Path) -> None:
    destination = place(tmp_path)
    prices = rows(destination, delivered(weeks, destination)["focus_price_list"])
    assert not prices.drop("ChargedFrom", "ChargedTo").is_duplicated().any()


def test_periods_of_several_accounts_are_closed_when_all_are(tmp_path: Path) -> None:
    """Both have one issuer now. Bob's week that Ann has too began on the 1st; both are closed, then one is not."""
    catalog = configuration()
    del catalog["customers"][1]["dimensions"]
    weeks = EveryDataset(tmp_path / "lake", catalog=catalog).compute()
    everyone, ann = place(tmp_path / "all"), place(tmp_path / "ann", customers=("ann",))

    def periods(destination: Destination) -> list[tuple[Any, ...]]:
        found = rows(destination, delivered(weeks, destination)["focus_billing_period"])
        start = pl.col("BillingPeriodStart").dt.day()
        return found.select(start, "BillingPeriodStatus", "x_BillingAccountId").sort(pl.nth(0)).rows()

    assert periods(everyone) == [(1, "Closed", None), (8, "Open", None)]
    assert periods(ann) == [(1, "Closed", "ann"), (8, "Open", "ann")]

    listed = weeks.lake.scan("focus_billing_period", [dt.date(2026, 8, 4)]).collect()
    assert listed["x_BillingAccountId"].to_list() == ["bob"]
    weeks.rewrite("focus_billing_period", 4, listed.with_columns(BillingPeriodStatus=pl.lit("Open")))
    assert periods(everyone) == [(1, "Open", None), (8, "Open", None)]
    assert periods(ann) == [(1, "Closed", "ann"), (8, "Open", "ann")]


def test_a_change_in_one_dataset_makes_that_one_due_and_no_other(weeks: Weeks, tmp_path: Path) -> None:
    destination = place(tmp_path)

    def are_due() -> list[str]:
        months = billing_months(weeks.lake, START)
        held = {"focus_cost_and_usage": months}
        held |= {name: months_of_dataset(weeks.lake, name, months) for name in others_of(destination)}
        ledger = latest_deliveries(weeks.lake)
        return [name for name, of in held.items() if due(of, [destination], ledger, of, dataset=name)]

    assert are_due() == ["focus_cost_and_usage", *OTHERS]
    delivered(weeks, destination)
    assert are_due() == []
    details = weeks.lake.scan("focus_invoice_detail", [dt.date(2026, 8, 7)]).collect()
    weeks.rewrite("focus_invoice_detail", 7, details.with_columns(PaymentTerms=pl.lit("Net 60")))
    assert are_due() == ["focus_invoice_detail"]
    again = delivered(weeks, destination)
    assert {name: each.outcome for name, each in again.items() if each.outcome != "unchanged"} == {
        "focus_invoice_detail": "delivered"
    }
    assert are_due() == []


def test_the_ledger_is_rebuilt_with_every_dataset(weeks: Weeks, tmp_path: Path) -> None:
    destination = place(tmp_path)
    delivered(weeks, destination)
    before = entries(weeks.lake)
    assert before["dataset"].to_list() == sorted(["focus_cost_and_usage", *OTHERS])
    shutil.rmtree(weeks.root / "_ledger")
    rebuild(weeks.lake, open_store(destination.url))
    assert entries(weeks.lake).equals(before)


def test_a_dataset_whose_days_are_stale_is_refused_and_cost_and_usage_stands(
    weeks: Weeks, tmp_path: Path
) -> None:
    destination = place(tmp_path)
    weeks.lake.store.delete("focus_invoice_detail/charge_date=2026-08-05/part-0.parquet")
    weeks.lake.store.delete("focus_invoice_detail/charge_date=2026-08-05/_record.json")
    deliver_all(weeks.lake, [destination], AUGUST, DeliveryRun(AFTER, since=START))
    results = deliver_others(weeks.lake, [destination], AUGUST, DeliveryRun(AFTER, since=START))
    refused = [str(r.error) for r in results if not isinstance(r, DeliveryResult)]
    assert len(refused) == 1
    assert "focus_invoice_detail is missing on 2026-08-05" in refused[0]
    assert len(results) == 4


def test_a_file_of_another_customer_s_dataset_is_found_by_verify(weeks: Weeks, tmp_path: Path) -> None:
    bob, everyone = place(tmp_path / "bob", customers=("bob",)), place(tmp_path / "all")
    theirs = delivered(weeks, bob)["focus_invoice_detail"].manifest
    all_of_them = delivered(weeks, everyone)["focus_invoice_detail"].manifest
    mixed = all_of_them.model_copy(update={"scope": theirs.scope}).sealed()
    store = open_store(everyone.url)
    path = "invoice-detail/billing_period=2026-08/manifest.json"
    store.put(path, mixed.to_bytes())
    assert any("outside the delivery's scope" in problem for problem in verify_manifest(store, path).problems)


def test_what_a_destination_decides_about_a_column_holds_in_every_dataset(
    weeks: Weeks, tmp_path: Path
) -> None:
    """Two issuers become one, and so do the periods of theirs that begin together."""
    destination = place(tmp_path, dimensions={"InvoiceIssuerName": "Reseller"})
    results = delivered(weeks, destination)
    for dataset in ("focus_cost_and_usage", *OTHERS[:3]):
        assert set(rows(destination, results[dataset])["InvoiceIssuerName"]) == {"Reseller"}
    assert rows(destination, results["focus_billing_period"]).height == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"focus_version": "1.2"}, "it is there from 1.4 on"),
        ({"datasets": ["invoice-detail"]}, "leaves cost-and-usage out"),
        ({"datasets": ["cost-and-usage", "cost-and-usage"]}, "names a dataset twice"),
    ],
)
def test_datasets_that_a_destination_cannot_have_are_refused(tmp_path: Path, values: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        place(tmp_path, **values)

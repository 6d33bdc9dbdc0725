"""The datasets beside Cost and Usage, whatever is asked for: nobody gets a row of a customer out of its scope."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.delivery import billing_months
from focus_assets.delivery.by_customer import RowsByCustomer
from focus_assets.delivery.dataset_months import months_of_dataset
from focus_assets.delivery.datasets import rows_of
from focus_assets.delivery.gate import PassedMonth
from focus_assets.delivery.one_pass import one_pass
from focus_assets.delivery.scope import scope_in
from focus_assets.lake import Lake
from focus_assets.settings import CustomersByLabel, Destination
from focus_assets_tests.billing.weeks import EveryDataset, configuration
from focus_assets_tests.delivery.test_isolation import NASTY, TIERS, asked

AUGUST, START, LAST = "2026-08", dt.date(2026, 8, 1), 1
SCOPES = 250
"""For each of four datasets."""

KEYS = (*NASTY, *(f"customer-{n}" for n in range(10)))
PRICES = {key: Decimal(n) / 10_000 for n, key in enumerate(KEYS, 1)}
"""What each agreed to pay for a request: nobody pays what another pays, so a price says whose it is."""

EVERYBODYS = {Decimal(1), Decimal("0.555")}
"""The unit price of what tops a minimum up, and the fee of the published plan."""

ISSUERS = {key: f"Issuer {n // 2}" for n, key in enumerate(KEYS)}
"""Two customers get their invoices from the same issuer, whose periods are then told as one."""


def tenants() -> dict[str, Any]:
    """Customers billed by the day, each with a price, a commitment and labels of its own."""
    chance = random.Random(20260801)
    catalog = configuration()
    catalog["plans"][0]["billing_cadence"] = "P1D"
    catalog["customers"] = [
        {
            "key": key,
            "labels": {"tier": chance.choice(TIERS), "team": chance.choice("ab")},
            "dimensions": {"InvoiceIssuerName": ISSUERS[key]},
        }
        for key in KEYS
    ]
    catalog["subscriptions"] = [
        {
            "customer": key,
            "plan": "basic",
            "active_from": "2026-08-01T00:00:00Z",
            "rate_cards": [
                {
                    "feature": "requests",
                    "price": {"type": "unit", "amount": str(price), "minimum_amount": "4"},
                }
            ],
        }
        for key, price in PRICES.items()
    ]
    return catalog


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    usage = [(n, key, "requests", None, "3") for key in KEYS for n in range(1, LAST + 1)]
    weeks = EveryDataset(tmp_path_factory.mktemp("tenants"), catalog=tenants(), usage=usage)
    return weeks.compute(1, LAST).lake


def destinations() -> list[Destination]:
    chance = random.Random(6)
    found = []
    for _ in range(SCOPES):
        reseller = {"InvoiceIssuerName": "Reseller"} if chance.random() < 0.3 else {}
        customers = asked(chance, list(KEYS))
        found.append(Destination(name="one", url="s3://bucket/one", customers=customers, dimensions=reseller))
    return found


def wanted_by(destination: Destination) -> set[str]:
    """The customers in scope, by the configuration alone."""
    customers = destination.customers
    if isinstance(customers, CustomersByLabel):
        labelled = {each["key"]: each["labels"] for each in tenants()["customers"]}
        return {key for key in KEYS if customers.labels.items() <= labelled[key].items()}
    return set(customers) & set(KEYS)


def by_customer_key(rows: pl.DataFrame, destination: Destination, wanted: set[str]) -> None:
    assert set(rows["x_CustomerKey"]) == wanted


def by_issuer(rows: pl.DataFrame, destination: Destination, wanted: set[str]) -> None:
    reseller = destination.dimensions.get("InvoiceIssuerName")
    served: dict[str, list[str]] = {}
    for key in sorted(wanted):
        served.setdefault(reseller or ISSUERS[key], []).append(key)
    alone = {(issuer, keys[0] if len(keys) == 1 else None) for issuer, keys in served.items()}
    assert set(rows.select("InvoiceIssuerName", "x_CustomerKey").iter_rows()) == alone
    assert set(rows["x_BillingAccountId"].drop_nulls()) == {key for _, key in alone if key is not None}


def by_price(rows: pl.DataFrame, destination: Destination, wanted: set[str]) -> None:
    assert set(rows["ContractedUnitPrice"]) - EVERYBODYS == {PRICES[key] for key in wanted}


@pytest.fixture(scope="module")
def taken_apart(lake: Lake) -> Iterator[dict[str, RowsByCustomer]]:
    with ExitStack() as until_the_end:
        yield {
            dataset: rows
            for dataset in WHOSE
            if (rows := until_the_end.enter_context(one_pass(lake, passed(lake, dataset), destinations())))
        }


def passed(lake: Lake, dataset: str) -> PassedMonth:
    costs = billing_months(lake, START)
    held = months_of_dataset(lake, dataset, costs)[AUGUST]
    return PassedMonth(held, dict(costs[AUGUST].digests), dataset=dataset)


WHOSE = {
    "focus_billing_period": by_issuer,
    "focus_invoice_detail": by_customer_key,
    "focus_contract_commitment": by_customer_key,
    "focus_price_list": by_price,
}


@pytest.mark.parametrize("dataset", WHOSE)
def test_no_destination_gets_a_row_of_a_customer_out_of_its_scope_and_none_misses_one(
    lake: Lake, taken_apart: dict[str, RowsByCustomer], dataset: str
) -> None:
    month = passed(lake, dataset)
    delivered = 0
    for n, destination in enumerate(destinations()):
        scope = scope_in(lake, destination, month)
        # As few destinations are served, reading the lake, and as many are. A price list takes a catalog to read.
        few = n % (50 if dataset == "focus_price_list" else 10) == 0
        source = lake if few else taken_apart[dataset].lake_of(scope)
        found = rows_of(source, dataset, AUGUST, month.held.days, scope, destination)
        rows = pl.concat(found.values()).collect()
        try:
            WHOSE[dataset](rows, destination, wanted_by(destination))
        except AssertionError as error:
            raise AssertionError(f"case {n}: {destination.customers}") from error
        delivered += rows.height
    assert delivered > SCOPES

"""An invoice of OpenMeter that is voided after its period has closed: its rows stay, and their costs are taken back."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.settings import BillingSettings, CommitmentSettings
from focus_assets_tests.billing.test_late_usage_of_invoices import (
    FIRST,
    ISSUED,
    LATE,
    NEXT,
    TIERS,
    USED,
    Detail,
    findings,
    invoice,
    weeks,
)
from focus_assets_tests.billing.weeks import Weeks, configuration, price

D = Decimal
COSTS = ["ListCost", "ContractedCost", "BilledCost", "EffectiveCost"]
ONLY_ANN = {"subscriptions": [{"customer": "ann", "plan": "basic", "active_from": "2026-08-01T00:00:00Z"}]}


@pytest.fixture(scope="module")
def voided(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    found = weeks(tmp_path_factory.mktemp("voided"), invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(
        1, 7
    )
    found.before = found.rows()  # type: ignore[attr-defined]
    gone = invoice("139", TIERS, status="voided", voided_at=ISSUED)
    found.catalog = {**found.catalog, "invoices": [gone]}
    return found.compute(1, 7)


def test_its_rows_stay_as_they_were(voided: Weeks) -> None:
    kept = voided.rows().filter(pl.col("InvoiceId") == "ANN-01")
    before = voided.before  # type: ignore[attr-defined]
    assert kept.sort(kept.columns).equals(before.sort(kept.columns))


def test_all_it_billed_is_taken_back_at_the_prices_it_was_billed_at(voided: Weeks) -> None:
    """4.37: 3.33 and 0.4797 of tokens, the fee of 0.56, and 0.0003 that rounding had added."""
    back = voided.rows().filter(pl.col("ChargeClass") == "Correction")
    taken = back.group_by("ChargeCategory").agg(pl.col("BilledCost", "ConsumedQuantity").sum())
    assert sorted(taken.rows()) == [
        ("Adjustment", D("-0.0003"), D(0)),
        ("Purchase", D("-0.56"), D(0)),
        ("Usage", D("-3.8097"), D(-139)),
    ]
    priced = back.filter(pl.col("ChargeCategory") == "Usage")
    assert set(priced["ListUnitPrice"]) == {D("0.0333"), D("0.0123")}
    assert set(back["x_CorrectedInvoiceId"]) == {"ANN-01"}
    empty = ("InvoiceId", "x_OpenMeterInvoiceId")
    assert [back[name].null_count() for name in empty] == [back.height] * len(empty)
    assert back["SkuId"].null_count() == 0


def test_all_rows_come_to_what_is_to_be_billed_anew(voided: Weeks, tmp_path: Path) -> None:
    """As in a lake that never saw the invoice as anything but void: 3.33, 0.555 and 0.4797."""
    gone = invoice("139", TIERS, status="voided", voided_at=ISSUED)
    fresh = weeks(tmp_path, gone, usage=USED, **ONLY_ANN).compute(1, 7)
    sums = [found.rows().select(pl.col(*COSTS, "ConsumedQuantity").sum()) for found in (voided, fresh)]
    assert sums[0].equals(sums[1])
    assert sums[0]["BilledCost"].item() == D("4.3647")


def test_computing_the_days_again_changes_nothing(voided: Weeks) -> None:
    before = voided.rows()
    assert voided.compute(1, 7).rows().equals(before)


@pytest.mark.parametrize("version", VERSIONS)
def test_its_corrections_break_no_rule(voided: Weeks, version: str) -> None:
    report = check(project(voided.rows().lazy(), version), rules_for(version))
    assert [result.sentence for result in report.violated if result.rule.blocking] == []


def test_the_difference_to_an_invoice_that_replaces_it_is_booked(tmp_path: Path) -> None:
    """The other has 120 tokens: 3.33, 0.56 and 20 x 0.0123 = 0.25, so 4.14 where 4.37 were billed."""
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(1, 7)
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("120", ("20", "0.0123", "0.25"))]}
    rows = found.compute(1, 7).rows()
    assert rows["BilledCost"].sum() == D("4.14")
    assert rows["ConsumedQuantity"].sum() == 139
    assert rows.filter(pl.col("ChargeClass") == "Correction")["BilledCost"].sum() == D("-0.23")
    assert found.compute(1, 7).rows().equals(rows)


EITHER = pytest.mark.parametrize("late_usage", ["not_billed", "rebilled"])


def by_invoice(rows: pl.DataFrame) -> dict[str | None, Decimal]:
    return dict(rows.group_by("InvoiceId").agg(pl.col("BilledCost").sum()).iter_rows())


@EITHER
def test_rows_of_the_invoice_that_replaces_it_add_up_to_its_total(tmp_path: Path, late_usage: Any) -> None:
    """4.37 of the void are taken back on no invoice; the 4.14 are the other one's, and correct the void."""
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN)
    found.terms = BillingSettings(late_usage=late_usage)
    found.compute(1, 7)
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("120", ("20", "0.0123", "0.25"))]}
    rows = found.compute(1, 7).rows()
    assert by_invoice(rows) == {"ANN-01": D("4.37"), "NEW": D("4.14"), None: D("-4.37")}
    assert findings(found) == []
    corrections = rows.filter(pl.col("ChargeClass") == "Correction")
    assert set(corrections.drop_nulls("InvoiceId")["x_CorrectedInvoiceId"]) == {"ANN-01"}
    assert set(corrections.drop_nulls("InvoiceId")["x_OpenMeterInvoiceId"]) == {"id-NEW"}
    assert found.compute(1, 7).rows().equals(rows)


@EITHER
@pytest.mark.parametrize("closed_between", [False, True])
def test_an_invoice_that_is_voided_when_another_has_replaced_it(
    tmp_path: Path, late_usage: Any, closed_between: bool
) -> None:
    """Both ask for the same tokens at first, 4.37 and 4.14; then the first is void."""
    last = 14 if closed_between else 7
    end = NEXT + dt.timedelta(days=7)
    following = invoice("0", [], (NEXT, end), created_at=end, issued_at=end)
    following["lines"][0] |= {"billing_start": NEXT, "billing_end": end}
    second = replacement("120", ("20", "0.0123", "0.25"), created_at=ISSUED + dt.timedelta(hours=1))
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN)
    found.terms = BillingSettings(late_usage=late_usage)
    found.compute(1, last)
    found.catalog = {**found.catalog, "invoices": [invoice("139", TIERS), second]}
    first_week = pl.col("ChargePeriodStart") < NEXT
    asked = by_invoice(found.compute(1, last).rows().filter(first_week))
    assert asked == {"ANN-01": D("4.37"), "NEW": D("4.14")}
    others = [following] if closed_between else []
    if closed_between:
        found.catalog["invoices"] += others
        found.compute(1, last)
    found.catalog = {**found.catalog, "invoices": [GONE, second, *others]}
    rows = found.compute(1, last).rows().filter(first_week)
    named = {name: cost for name, cost in by_invoice(rows).items() if cost != 0}
    assert named == {"ANN-01": D("4.37"), "NEW": D("4.14"), None: D("-4.37")}
    assert rows["ConsumedQuantity"].sum() == 139
    again = found.compute(1, last).rows().filter(first_week)
    assert {n: c for n, c in by_invoice(again).items() if c != 0} == named


def replacement(quantity: str, rest: Detail, *more: dict[str, Any], **of: Any) -> dict[str, Any]:
    """The invoice NEW of Ann's week: two tiers and the fee, and ``more`` lines."""
    made = invoice(quantity, [*TIERS[:2], rest], id="id-NEW", number="NEW", **of)
    made["lines"][0]["id"] = "line-NEW"
    made["lines"] += more
    made["total"] = sum(D(line["net"]) for line in made["lines"])
    return made


GONE = invoice("139", TIERS, status="voided", voided_at=ISSUED)
WITH_LATE: Detail = ("109", "0.0123", "1.34")
"""With the 70 that came late there are 209: 3.33, 0.56, and 109 x 0.0123 = 1.3407 = 1.34."""


def test_a_replacement_bills_what_came_late_on_a_day_that_had_no_rows(tmp_path: Path) -> None:
    """3.33 + 0.56 + 1.34 = 5.23. On the 2nd 39 are 1.2987 and 31 are 0.3813, and the 3rd has no first tier left."""
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(1, 7)
    found.usage = (*USED, LATE)
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("209", WITH_LATE)]}
    rows = found.compute(1, 7).rows()
    assert rows["BilledCost"].sum() == D("5.23")
    assert rows["ConsumedQuantity"].sum() == 209
    added = rows.filter(pl.col("ChargeClass") == "Correction")
    assert set(added["x_CorrectedInvoiceId"]) == {"ANN-01"}
    of_second = added.filter(pl.col("ChargePeriodStart").dt.day() == 2)
    assert sorted(of_second.select("ConsumedQuantity", "ListUnitPrice", "BilledCost").rows()) == [
        (D(31), D("0.0123"), D("0.3813")),
        (D(39), D("0.0333"), D("1.2987")),
    ]
    assert not added["ChargeDescription"].str.contains("not billed").any()
    assert found.compute(1, 7).rows().equals(rows)


def test_sums_are_those_of_a_computation_that_never_saw_the_voided_invoice(tmp_path: Path) -> None:
    """Ten more came after the other was made: they are billed by nobody."""
    last = (5, "ann", "tokens", "large", "10")
    found = weeks(tmp_path / "seen", invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(1, 7)
    found.usage = (*USED, LATE, last)
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("209", WITH_LATE)]}
    found.compute(1, 7)
    never = weeks(tmp_path / "never", replacement("209", WITH_LATE), usage=found.usage, **ONLY_ANN)
    never.compute(1, 7)
    sums = [each.rows().select(pl.col(*COSTS, "ConsumedQuantity").sum()) for each in (found, never)]
    assert sums[0].equals(sums[1])
    assert sums[0].select("BilledCost", "ConsumedQuantity").row(0) == (D("5.23"), D(219))


def test_a_line_that_somebody_adds_to_the_replacement_is_booked(tmp_path: Path) -> None:
    """4.37 as before, and a workshop of 250 on the 5th, a day without usage."""
    workshop = {
        "id": "workshop",
        "name": "Workshop",
        "start": dt.datetime(2026, 8, 5, tzinfo=dt.UTC),
        "end": dt.datetime(2026, 8, 6, tzinfo=dt.UTC),
        "billing_start": FIRST,
        "billing_end": NEXT,
        "by_hand": True,
        "net": "250",
        "details": [],
    }
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(1, 7)
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("139", TIERS[2], workshop)]}
    rows = found.compute(1, 7).rows()
    assert rows["BilledCost"].sum() == D("254.37")
    added = rows.filter(pl.col("x_AdjustmentReason") == "added_by_hand")
    assert added.select("BilledCost", "ChargeClass", "InvoiceId", "x_CorrectedInvoiceId").rows() == [
        (D(250), "Correction", "NEW", "ANN-01")
    ]
    assert found.compute(1, 7).rows().equals(rows)


def test_late_usage_of_an_invoice_that_replaced_another_before_the_close_is_not_billed(
    tmp_path: Path,
) -> None:
    """Voided and replaced before anything closed: 70 that come after the close are on a day that has no rows."""
    found = weeks(tmp_path, GONE, replacement("139", TIERS[2]), usage=USED, **ONLY_ANN).compute(1, 7)
    found.usage = (*USED, LATE)
    rows = found.compute(1, 7).rows()
    assert rows["BilledCost"].sum() == D("4.37")
    late = rows.filter(pl.col("ChargeClass") == "Correction")
    assert late.select("ConsumedQuantity", "BilledCost", "x_CorrectedInvoiceId").rows() == [
        (D(70), D(0), "NEW")
    ]


def test_a_replacement_stays_one_after_the_period_that_takes_its_corrections_has_closed(
    tmp_path: Path,
) -> None:
    """The next week is invoiced and closes with the corrections in it; then the days are computed again."""
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(1, 14)
    found.usage = (*USED, LATE)
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("209", WITH_LATE)]}
    found.compute(1, 14)
    end = NEXT + dt.timedelta(days=7)
    following = invoice("0", [], (NEXT, end), created_at=end, issued_at=end)
    following["lines"][0] |= {"billing_start": NEXT, "billing_end": end}
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("209", WITH_LATE), following]}
    rows = found.compute(1, 14).rows()
    assert rows["BilledCost"].sum() == D("5.23")
    for _ in range(2):
        again = found.compute(1, 14).rows()
    assert again["BilledCost"].sum() == D("5.23")
    assert again["ConsumedQuantity"].sum() == 209


def test_what_was_shown_as_not_billed_is_billed_by_the_replacement_once(tmp_path: Path) -> None:
    """The 70 are shown at no cost, and kept so when the next week closes. Then the other invoice bills them."""
    end = NEXT + dt.timedelta(days=7)
    following = invoice("0", [], (NEXT, end), created_at=end, issued_at=end)
    following["lines"][0] |= {"billing_start": NEXT, "billing_end": end}
    found = weeks(tmp_path, invoice("139", TIERS), usage=USED, **ONLY_ANN).compute(1, 14)
    found.usage = (*USED, LATE)
    shown = found.compute(1, 14).rows()
    assert shown.filter(pl.col("ChargeClass") == "Correction")["ConsumedQuantity"].to_list() == [D(70)]
    found.catalog = {**found.catalog, "invoices": [invoice("139", TIERS), following]}
    found.compute(1, 14)
    found.catalog = {**found.catalog, "invoices": [GONE, replacement("209", WITH_LATE), following]}
    for _ in range(2):
        rows = found.compute(1, 14).rows()
        assert rows.select(pl.col("BilledCost", "ConsumedQuantity").sum()).row(0) == (D("5.23"), D(209))


def test_a_voided_part_is_taken_back_while_another_part_of_the_charge_stays_billed(tmp_path: Path) -> None:
    """61 x 0.0333 = 2.0313 = 2.03 and 0.56, then 1.78. Open again are 2.0313 and 0.555: 4.3663 with the 1.78."""
    cut = dt.datetime(2026, 8, 3, 12, tzinfo=dt.UTC)
    early = [("61", "0.0333", "2.03"), TIERS[1]]
    rest = invoice("78", [("39", "0.0333", "1.30"), TIERS[2]], (cut, NEXT), "61")
    found = weeks(tmp_path, invoice("61", early, (FIRST, cut), "0"), rest, usage=USED, **ONLY_ANN)
    assert found.compute(1, 7).rows()["BilledCost"].sum() == D("4.37")
    gone = invoice("61", early, (FIRST, cut), "0", status="voided", voided_at=ISSUED)
    found.catalog = {**found.catalog, "invoices": [gone, rest]}
    rows = found.compute(1, 7).rows()
    assert rows["BilledCost"].sum() == D("4.3663")
    assert rows["ConsumedQuantity"].sum() == 139
    assert found.compute(1, 7).rows().equals(rows)


def applied(rows: pl.DataFrame) -> Decimal:
    """What counts towards commitments."""
    texts = rows["ContractApplied"].drop_nulls()
    elements = [each for text in texts for each in json.loads(text, parse_float=D, parse_int=D)["Elements"]]
    return sum((each["ContractCommitmentAppliedCost"] for each in elements), D(0))


AT_LEAST_TEN = [
    configuration()["plans"][0]
    | {"rate_cards": [{"feature": "tokens", "price": price("1", minimum_amount="10")}]}
]


@pytest.mark.parametrize("late_usage", ["not_billed", "rebilled"])
@pytest.mark.parametrize("tax", ["0", "27.8"])
@pytest.mark.parametrize("net", ["139", "100"])
def test_usage_of_a_voided_invoice_counts_once_towards_its_minimum(
    tmp_path: Path, late_usage: Any, tax: str, net: str
) -> None:
    """139 at 1.00 are 139, well above the minimum of 10: counted when invoiced, taken back, and open once more.

    Never counted are 39 that somebody took off the line by hand, and tax of 27.80; so taking these back is not either.
    """
    made = invoice("139", [("139", "1", net)])
    made["lines"][0] |= {"tax": tax, "by_hand": net != "139"}
    made["total"] = D(net) + D(tax)
    found = weeks(tmp_path, made, usage=USED, plans=AT_LEAST_TEN, **ONLY_ANN)
    found.terms = BillingSettings(late_usage=late_usage, contract_commitments=CommitmentSettings())
    before = found.compute(1, 7).rows()
    assert (before["BilledCost"].sum(), applied(before)) == (D(net) + D(tax), 139)
    found.catalog = {**found.catalog, "invoices": [made | {"status": "voided", "voided_at": ISSUED}]}
    rows = found.compute(1, 7).rows()
    assert (rows["BilledCost"].sum(), applied(rows)) == (139, 139)
    sums = rows.group_by("ChargeCategory").agg(pl.col("BilledCost").sum())
    assert dict(sums.iter_rows()).get("Tax", 0) == 0


def test_late_usage_that_given_credit_pays_counts_before_credit(tmp_path: Path) -> None:
    """139, then 30 more after the close, all paid by a gift of 200: 169 count."""
    gift = {"key": "gift", "customer": "ann", "amount": "200", "effective_at": "2026-08-01T00:00:00Z"}
    catalog = configuration(plans=AT_LEAST_TEN, credits=[gift], **ONLY_ANN)
    found = Weeks(tmp_path, usage=USED, catalog=catalog).compute(1, 7)
    assert applied(found.rows()) == 139
    found.usage = (*USED, (2, "ann", "tokens", "large", "30"))
    rows = found.compute(1, 7).rows()
    assert (applied(rows), rows["BilledCost"].sum()) == (169, 0)
    assert rows.filter(pl.col("ChargeCategory") == "Credit")["x_AdjustmentReason"].null_count() == 5

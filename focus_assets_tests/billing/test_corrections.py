"""What comes late, or is priced otherwise, after its billing period has closed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from focus_assets import closed_stages
from focus_assets.billing import closed
from focus_assets.billing_stages import periods_closed_otherwise, reconciled_month
from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.settings import BillingSettings
from focus_assets.stage_controls import closed_rows_unchanged
from focus_assets_tests.billing.weeks import BEFORE, TIERS, Weeks, configuration

D = Decimal
LAST = 8
"""The first day of the second week is the last that there is."""

LATE = (2, "ann", "tokens", "large", "70")
TOKENS = "ann/basic/tokens/20260801T000000Z"
CLOSED = "ann/20260801-20260808/USD"
NEXT = "ann/20260808-20260815/USD"
NEXT_CLOSED = dt.datetime(2026, 8, 18, tzinfo=dt.UTC)
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")
QUANTITIES = ("ConsumedQuantity", "PricingQuantity")
NOT_BILLED = BillingSettings(late_usage="not_billed")


def day(number: int) -> dt.date:
    return dt.date(2026, 8, number)


def instant(number: int) -> dt.datetime:
    return dt.datetime(2026, 8, number, tzinfo=dt.UTC)


def late(weeks: Weeks, *usage: tuple[int, str, str, str | None, str]) -> Weeks:
    """The week is closed, then more usage comes and everything is computed again."""
    weeks.compute(1, LAST)
    weeks.usage = [*weeks.usage, *usage]
    return weeks.compute(1, LAST)


def corrections(weeks: Weeks) -> pl.DataFrame:
    return weeks.rows().filter(pl.col("ChargeClass") == "Correction")


def kept(weeks: Weeks) -> pl.DataFrame:
    """The rows of the first week but for corrections, in the order of their files."""
    return weeks.rows().filter(pl.col("ChargeClass").is_null(), pl.col("BillingPeriodStart") == instant(1))


def sums(rows: pl.DataFrame, names: Sequence[str]) -> dict[str, Decimal]:
    return dict(zip(names, rows.select(pl.col(names).sum()).row(0), strict=True))


def fresh(root: Path, weeks: Weeks) -> pl.DataFrame:
    """The rows of a lake in which nothing was closed before all usage had come."""
    return Weeks(root, usage=weeks.usage, catalog=weeks.catalog, as_of=weeks.as_of).compute(1, LAST).rows()


@pytest.fixture(scope="module")
def rebilled(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return late(Weeks(tmp_path_factory.mktemp("rebilled")), LATE)


@pytest.fixture(scope="module")
def not_billed(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    return late(Weeks(tmp_path_factory.mktemp("not_billed"), terms=NOT_BILLED), LATE)


@pytest.fixture(scope="module")
def invoiced(tmp_path_factory: pytest.TempPathFactory) -> Weeks:
    """The week in which late usage was booked has closed as well."""
    weeks = late(Weeks(tmp_path_factory.mktemp("invoiced")), LATE)
    weeks.as_of = NEXT_CLOSED
    assert day(2) in periods_closed_otherwise(
        weeks.lake, weeks.lake.days("focus_cost_and_usage"), weeks.close
    )
    return weeks.compute(1, 14)


def test_rounding_stays_where_it_was_when_other_usage_of_the_line_becomes_the_dearest(tmp_path: Path) -> None:
    """10,000 small tokens on the week's last day at 0.0123 are 123.00: no cent is rounded otherwise.

    Before, the dearest row of the line was one of the large model, and now it is one of the small.
    """
    found = corrections(late(Weeks(tmp_path), (7, "ann", "tokens", "small", "10000")))
    assert found.select("SkuId", "x_PriceComponent", "ConsumedQuantity", "BilledCost").rows() == [
        ("tokens/model=small", "usage:2", D(10000), D(123))
    ]


def test_late_usage_is_billed_in_the_open_period_at_the_tiers_it_moves(rebilled: Weeks) -> None:
    """61 on the 1st leave 39 of the first tier, which the 70 of the 2nd take from the 3rd; cents are rounded anew."""
    found = corrections(rebilled).select(
        "ChargePeriodStart", "x_PriceComponent", "ConsumedQuantity", "BilledCost"
    )
    assert found.rows() == [
        (instant(2), "usage:1", D(39), D("1.2987")),
        (instant(2), "usage:2", D(31), D("0.3813")),
        (instant(3), "usage:1", D(-39), D("-1.2987")),
        (instant(3), "usage:2", D(39), D("0.4797")),
        (instant(1), "rounding", None, D("-0.001")),
    ]
    rows = corrections(rebilled)
    assert set(rows.select("BillingPeriodStart", "BillingPeriodEnd").iter_rows()) == {
        (instant(8), instant(15))
    }
    assert set(rows["x_CorrectedInvoiceId"]) == {CLOSED}
    assert (rows["InvoiceId"].null_count(), rows["x_IsEstimated"].all()) == (5, True)
    usage = rows.filter(pl.col("ChargeCategory") == "Usage")
    assert usage["ContractedUnitPrice"].to_list() == [D("0.0333"), D("0.0123")] * 2
    assert usage["PricingQuantity"].to_list() == usage["ConsumedQuantity"].to_list()


def test_closed_rows_are_what_they_were_byte_for_byte(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    before, files = kept(weeks), sorted((tmp_path / closed.DATASET).rglob("*.parquet"))
    contents = [file.read_bytes() for file in files]

    late(weeks, LATE)

    assert kept(weeks).equals(before)
    assert [file.read_bytes() for file in files] == contents
    assert sorted((tmp_path / closed.DATASET).rglob("*.parquet")) == files


def test_closed_rows_and_corrections_add_up_to_a_fresh_computation(tmp_path: Path, rebilled: Weeks) -> None:
    names = (*COSTS, *QUANTITIES)
    assert sums(rebilled.rows(), names) == sums(fresh(tmp_path, rebilled), names)


def test_computing_again_in_any_order_changes_no_byte(tmp_path: Path, rebilled: Weeks) -> None:
    def files(weeks: Weeks) -> dict[str, bytes]:
        return {
            str(file.relative_to(weeks.root)): file.read_bytes()
            for file in sorted(weeks.root.rglob("*.parquet"))
        }

    other = Weeks(tmp_path).compute(1, LAST)
    other.usage = rebilled.usage
    for first, last in ((7, 7), (2, 2), (3, 3), (1, LAST)):
        other.compute(first, last)
    assert files(other) == files(rebilled)
    assert files(other.compute(1, LAST)) == files(rebilled)


@pytest.mark.parametrize("version", VERSIONS)
def test_corrections_break_no_rule(rebilled: Weeks, not_billed: Weeks, invoiced: Weeks, version: str) -> None:
    for weeks in (rebilled, not_billed, invoiced):
        report = check(project(weeks.rows().lazy(), version), rules_for(version))
        assert [result.sentence for result in report.violated] == []


def test_when_the_open_period_closes_corrections_are_lines_of_its_invoice(invoiced: Weeks) -> None:
    """109 of the second tier are 1.34, not 0.48: 0.86. What moved within the first tier comes to nothing."""
    weeks = invoiced
    assert set(corrections(weeks)["InvoiceId"]) == {NEXT}
    assert not corrections(weeks)["x_IsEstimated"].any()
    lines = weeks.rows("focus_invoice_detail").filter(pl.col("InvoiceDetailId").str.contains("/corrected/"))
    found = lines.select(
        "InvoiceDetailId", "InvoiceId", "BilledCost", "ReferenceInvoiceId", "InvoiceIssueDate"
    )
    assert found.rows() == [
        (f"{TOKENS}/usage:1/corrected/20260808T000000Z", NEXT, D(0), CLOSED, NEXT_CLOSED),
        (f"{TOKENS}/usage:2/corrected/20260808T000000Z", NEXT, D("0.86"), CLOSED, NEXT_CLOSED),
    ]
    reconciled, _ = reconciled_month(weeks.lake, "2026-08")
    assert reconciled["difference"].unique().to_list() == [D(0)]
    assert reconciled["finding"].null_count() == reconciled.height
    assert reconciled.filter(pl.col("InvoiceId") == NEXT)["charged"].sum() == D("0.86") + D("0.56") + D(
        "0.17"
    )
    assert not periods_closed_otherwise(weeks.lake, weeks.lake.days("focus_cost_and_usage"), weeks.close)


def test_corrections_that_have_been_invoiced_are_corrected_in_turn(tmp_path: Path) -> None:
    weeks = late(Weeks(tmp_path), LATE)
    weeks.as_of = NEXT_CLOSED
    weeks.compute(1, 14)
    invoiced = corrections(weeks)

    weeks.usage = [each for each in weeks.usage if each != LATE]
    weeks.compute(1, 14)

    found = corrections(weeks)
    assert found.filter(pl.col("BillingPeriodStart") == instant(8)).equals(invoiced)
    undone = found.filter(pl.col("BillingPeriodStart") == instant(15))
    assert sums(undone, (*COSTS, *QUANTITIES)) == {
        name: -total for name, total in sums(invoiced, (*COSTS, *QUANTITIES)).items()
    }
    assert undone["InvoiceId"].null_count() == undone.height
    assert weeks.reconciled()["finding"].drop_nulls().to_list() == []


def test_a_correction_stays_in_the_period_it_was_booked_in_when_that_closes_before_it_is_computed_again(
    tmp_path: Path,
) -> None:
    weeks = late(Weeks(tmp_path), LATE)
    weeks.as_of = instant(26)
    weeks.compute(1, 14)
    assert set(corrections(weeks)["BillingPeriodStart"]) == {instant(8)}


def test_usage_that_comes_two_periods_late_is_billed_in_the_one_that_is_open(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path, as_of=instant(26)).compute(1, 14)
    weeks.usage = [*weeks.usage, LATE]
    weeks.compute(1, 14)
    assert set(corrections(weeks)["BillingPeriodStart"]) == {instant(22)}


def test_usage_taken_back_is_a_negative_correction(tmp_path: Path) -> None:
    """Eight requests at 0.0107 less ten percent are 0.07704. 33 are 0.35 less 0.04 on an invoice, 41 were 0.40."""
    weeks = Weeks(tmp_path).compute(1, LAST)
    weeks.usage = [each for each in weeks.usage if each[0] != 5]
    weeks.compute(1, LAST)
    found = corrections(weeks)
    assert found.filter(pl.col("ChargeCategory") == "Usage").select(
        "ConsumedQuantity", "BilledCost"
    ).rows() == [(D(-8), D("-0.07704"))]
    assert found["BilledCost"].sum() == D("0.31") - D("0.40")


def test_late_usage_of_a_day_without_any_is_a_correction_too(tmp_path: Path) -> None:
    weeks = late(Weeks(tmp_path), (4, "ann", "requests", None, "1"))
    found = corrections(weeks).filter(pl.col("ChargeCategory") == "Usage")
    assert found.select("ChargePeriodStart", "ConsumedQuantity").rows() == [(instant(4), D(1))]


def test_a_price_fix_corrects_the_cost_alone(tmp_path: Path) -> None:
    """0.0100 for 0.0123 in the second tier: 0.0023 less for each of 21 and 7 on the 3rd and 11 on the 7th."""
    weeks = Weeks(tmp_path).compute(1, LAST)
    weeks.catalog = configuration()
    weeks.catalog["plans"][0]["rate_cards"][0]["price"] = TIERS | {
        "tiers": [TIERS["tiers"][0], {"unit_price": "0.0100"}]
    }
    weeks.compute(1, LAST)
    found = corrections(weeks)
    assert set(found["ChargeCategory"]) == {"Adjustment"}
    priced = found.filter(pl.col("x_PriceComponent") == "usage:2")
    assert priced.select("ChargePeriodStart", "Tags", "BilledCost").rows() == [
        (instant(3), '{"model":"large"}', D("-0.0483")),
        (instant(3), '{"model":"small"}', D("-0.0161")),
        (instant(7), '{"model":"small"}', D("-0.0253")),
    ]
    for row in found.iter_rows(named=True):
        assert len({row[name] for name in COSTS}) == 1
        assert [row[name] for name in row if name.endswith(("Quantity", "UnitPrice", "Unit"))] == [None] * 10
        assert row["SkuId"].startswith("tokens/model=")
    # 39 at 0.01 are 0.39, which was 0.48.
    assert found["BilledCost"].sum() == D("-0.09")
    names = (*COSTS, *QUANTITIES)
    assert sums(weeks.rows(), names) == sums(fresh(tmp_path / "fresh", weeks), names)


def test_a_price_fix_is_corrected_once_and_then_again_by_its_difference(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    for amount in ("0.0100", "0.0111"):
        weeks.catalog = configuration()
        weeks.catalog["plans"][0]["rate_cards"][0]["price"] = TIERS | {
            "tiers": [TIERS["tiers"][0], {"unit_price": amount}]
        }
        weeks.compute(1, LAST)
    assert corrections(weeks)["BilledCost"].sum() == D("0.43") - D("0.48")  # 39 at 0.0111


def test_a_rate_card_that_is_added_to_a_closed_period_is_billed_in_the_open_one(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    weeks.catalog = configuration()
    fee = {"key": "seat", "price": {"type": "flat", "amount": "7"}}
    weeks.catalog["subscriptions"][0]["rate_cards"] = [fee]
    weeks.compute(1, LAST)
    found = corrections(weeks)
    assert found.select("ChargeCategory", "PricingQuantity", "BilledCost", "x_CorrectedInvoiceId").rows() == [
        ("Purchase", D(1), D(7), CLOSED)
    ]
    assert weeks.reconciled()["finding"].drop_nulls().to_list() == []


def test_a_subscription_that_is_removed_leaves_closed_rows_and_takes_them_back(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    before = kept(weeks)
    weeks.catalog = configuration()
    weeks.catalog["subscriptions"] = weeks.catalog["subscriptions"][1:]
    weeks.compute(1, LAST)
    assert kept(weeks).equals(before)
    of_ann = weeks.rows().filter(pl.col("x_CustomerKey") == "ann")
    assert set(sums(of_ann, (*COSTS, *QUANTITIES)).values()) == {D(0)}
    reconciled, _ = reconciled_month(weeks.lake, "2026-08")
    assert reconciled["finding"].drop_nulls().to_list() == []
    assert reconciled.filter(pl.col("InvoiceId") == CLOSED)["stated"].sum() == D("0.40") + D("0.56") + D(
        "3.81"
    )
    for number in range(1, LAST + 1):
        assert closed_rows_unchanged(weeks.lake, day(number)).is_empty()


def test_names_and_labels_of_closed_rows_stay_and_are_not_corrected(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    before = kept(weeks)
    weeks.catalog = configuration()
    weeks.catalog["customers"][0] |= {"name": "Ann & Co", "labels": {"tier": "gold"}}
    weeks.catalog["defaults"]["vendor_tag_prefix"] = "vendor"
    weeks.compute(1, LAST)
    assert corrections(weeks).is_empty()
    assert kept(weeks).equals(before)


def test_lines_of_an_issued_invoice_stay_as_they_were_issued(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    before = weeks.rows("focus_invoice_detail")
    weeks.terms = BillingSettings(payment_terms="Net 60", payment_days=60)
    assert weeks.compute(1, LAST).rows("focus_invoice_detail").equals(before)


def test_late_usage_that_a_credit_pays_for_is_corrected_with_it(tmp_path: Path) -> None:
    """0.86 more, of which a credit of 5 pays all that the 4.77 of the week have left of it: 0.23."""
    grant = {"key": "welcome", "customer": "ann", "amount": "5", "effective_at": "2026-08-01T00:00:00Z"}
    weeks = late(Weeks(tmp_path, catalog=configuration(credits=[grant])), LATE)
    names = (*COSTS, *QUANTITIES)
    assert sums(weeks.rows(), names) == sums(fresh(tmp_path / "fresh", weeks), names)
    found = corrections(weeks)
    assert found.filter(pl.col("x_CreditGrantId").is_null())["BilledCost"].sum() == D("0.86")
    assert found["BilledCost"].sum() == D("0.86") - D("0.23")
    assert weeks.reconciled()["finding"].drop_nulls().to_list() == []


def test_late_usage_that_is_not_billed_is_shown_without_price_and_invoice(
    tmp_path: Path, not_billed: Weeks
) -> None:
    weeks = not_billed
    row = corrections(weeks).row(0, named=True)
    assert corrections(weeks).height == 1
    assert (row["ChargeCategory"], row["ConsumedQuantity"], row["PricingQuantity"]) == ("Usage", D(70), D(70))
    assert {row[name] for name in COSTS} == {D(0)}
    assert [row[name] for name in row if name.endswith("UnitPrice")] == [None] * 4
    assert (row["PricingCategory"], row["InvoiceId"], row["InvoiceDetailId"]) == (None, None, None)
    assert (row["SkuId"], row["x_CorrectedInvoiceId"]) == ("tokens/model=large", CLOSED)
    assert sums(weeks.rows(), QUANTITIES) == sums(fresh(tmp_path / "fresh", weeks), QUANTITIES)


def test_late_usage_that_is_not_billed_is_final_when_its_period_closes(tmp_path: Path) -> None:
    weeks = late(Weeks(tmp_path, terms=NOT_BILLED), LATE)
    weeks.as_of = NEXT_CLOSED
    weeks.compute(1, 14)
    row = corrections(weeks).row(0, named=True)
    assert (row["InvoiceId"], row["x_IsEstimated"]) == (None, False)
    assert reconciled_month(weeks.lake, "2026-08")[0]["finding"].drop_nulls().to_list() == []


def test_a_period_is_closed_once_and_what_was_killed_on_the_way_closes_the_same(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / closed.DATASET).rglob("*.parquet")}
    (tmp_path / "closed_periods/charge_date=2026-08-03/_record.json").unlink()
    weeks.compute(1, LAST)
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / closed.DATASET).rglob("*.parquet")} == files


def test_what_has_closed_stays_closed_whatever_is_configured_later(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path, others=True).compute(1, LAST)
    before, periods = weeks.rows(), weeks.rows("focus_billing_period")
    weeks.as_of = BEFORE
    weeks.compute(1, LAST)
    assert weeks.rows().equals(before)
    assert weeks.rows("focus_billing_period").equals(periods)
    assert not periods_closed_otherwise(weeks.lake, weeks.lake.days("focus_cost_and_usage"), weeks.close)


def test_closed_rows_from_before_a_column_was_there_are_null_in_it_and_not_corrected(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    file = next((tmp_path / closed.DATASET / "charge_date=2026-08-03").glob("*.parquet"))
    older = pl.read_parquet(file).drop("x_MeterSlug", "x_CorrectedInvoiceId")
    periods = pl.read_parquet_metadata(file)
    file.unlink()
    older.write_parquet(tmp_path / "older", metadata=periods)
    content = (tmp_path / "older").read_bytes()
    file.with_name(f"0001-{hashlib.sha256(content).hexdigest()}.parquet").write_bytes(content)

    weeks.compute(3, 3)

    rows = weeks.lake.scan("focus_cost_and_usage", [day(3)]).collect()
    assert rows["x_MeterSlug"].null_count() == rows.height == older.height
    assert corrections(weeks).is_empty()


def test_closed_rows_that_are_damaged_stop_everything(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    file = next((tmp_path / closed.DATASET / "charge_date=2026-08-03").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(closed.ClosedRowsDamaged, match="backup"):
        weeks.compute(3, 3)


def test_the_control_notices_closed_rows_that_somebody_changed(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    assert closed_rows_unchanged(weeks.lake, day(3)).is_empty()
    rows = weeks.lake.scan("focus_cost_and_usage", [day(3)]).collect()
    weeks.rewrite("focus_cost_and_usage", 3, rows.with_columns(pl.col("BilledCost") + 1))
    (found,) = closed_rows_unchanged(weeks.lake, day(3)).rows()
    assert json.loads(found[0])[0] == "ann"
    assert "not those that were kept" in found[2]


def test_rows_that_have_closed_and_are_not_kept_may_not_be_delivered(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path).compute(1, LAST)
    assert closed_stages.not_kept(weeks.lake, day(3)) == []
    for file in (tmp_path / closed.DATASET / "charge_date=2026-08-03").glob("*"):
        file.unlink()
    (problem,) = closed_stages.not_kept(weeks.lake, day(3))
    assert "not kept for good yet" in problem


USAGE = st.lists(
    st.tuples(
        st.integers(1, 10),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["tokens", "requests"]),
        st.sampled_from(["large", "small"]),
        st.decimals(1, 120, places=2).map(str),
    ),
    min_size=1,
    max_size=3,
)


# Shrinking would take minutes: an example is six computations of two weeks.
@settings(
    max_examples=1,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@example(first=[(1, "ann", "tokens", "large", "1")], second=[(1, "ann", "tokens", "large", "1")], taken=0)
@given(first=USAGE, second=USAGE, taken=st.integers(0, 7))
def test_whatever_comes_late_closed_rows_and_corrections_are_a_fresh_computation(
    tmp_path_factory: pytest.TempPathFactory, first: Any, second: Any, taken: int
) -> None:
    weeks = Weeks(tmp_path_factory.mktemp("property"))
    # A request has no model, and Bob begins on the 4th.
    first, second = (
        [(*u[:3], u[3] if u[2] == "tokens" else None, u[4]) for u in each] for each in (first, second)
    )
    late(weeks, *first)
    weeks.usage = [each for n, each in enumerate(weeks.usage) if n != taken]
    weeks.as_of = instant(19)
    weeks.compute(1, 14)
    weeks.usage = [*weeks.usage, *second]
    weeks.compute(1, 14)
    whole = Weeks(tmp_path_factory.mktemp("fresh"), usage=weeks.usage, as_of=weeks.as_of).compute(1, 14)
    keys = ("x_CustomerKey", "x_ChargeId", "SkuId")
    names = (*COSTS, *QUANTITIES)
    found, wanted = (
        rows.group_by(keys).agg(pl.col(names).sum()).filter(pl.any_horizontal(pl.col(names) != 0)).sort(keys)
        for rows in (weeks.rows(), whole.rows())
    )
    assert found.equals(wanted)
    assert reconciled_month(weeks.lake, "2026-08")[0]["finding"].drop_nulls().to_list() == []


ENDS = configuration(
    subscriptions=[
        {
            "customer": "ann",
            "plan": "basic",
            "active_from": "2026-08-01T00:00:00Z",
            "active_to": "2026-08-08T00:00:00Z",
        }
    ]
)
PERIOD_KEY = ("BillingPeriodStart", "BillingPeriodEnd", "InvoiceIssuerName")


def periods_of(weeks: Weeks, account: str = "ann") -> list[tuple[dt.datetime, str, str]]:
    rows = weeks.rows("focus_billing_period").filter(x_BillingAccountId=account)
    return sorted(rows.select("BillingPeriodStart", "BillingPeriodStatus", "InvoiceIssuerName").iter_rows())


@pytest.mark.parametrize("terms", [BillingSettings(), NOT_BILLED])
def test_a_period_that_only_corrections_are_billed_in_is_listed(
    tmp_path: Path, terms: BillingSettings
) -> None:
    usage = [each for each in Weeks(tmp_path / "all").usage if each[0] < 8]
    weeks = late(Weeks(tmp_path, usage=usage, catalog=ENDS, terms=terms, others=True), LATE, (3, *LATE[1:]))
    issuer = "Test Vendor Inc."
    assert corrections(weeks)["BillingPeriodStart"].unique().to_list() == [instant(8)]
    # Corrections of two days are billed in it, and it stands once.
    assert periods_of(weeks) == [(instant(1), "Closed", issuer), (instant(8), "Open", issuer)]
    charged = {
        *weeks.rows().select(*PERIOD_KEY, "BillingAccountId").iter_rows(),
    }
    listed = weeks.rows("focus_billing_period").select(*PERIOD_KEY, "x_BillingAccountId")
    assert charged <= set(listed.iter_rows())
    weeks.as_of = NEXT_CLOSED
    assert day(2) in periods_closed_otherwise(weeks.lake, [day(2)], weeks.close)
    assert periods_of(weeks.compute(1, LAST)) == [
        (instant(1), "Closed", issuer),
        (instant(8), "Closed", issuer),
    ]


def test_a_period_of_an_account_that_goes_on_stands_where_its_charges_begin(tmp_path: Path) -> None:
    weeks = Weeks(tmp_path, others=True).compute(1, 7)
    weeks.usage = [*weeks.usage, LATE]
    weeks.compute(1, 7)
    assert corrections(weeks)["BillingPeriodStart"].unique().to_list() == [instant(8)]
    assert [start for start, *_ in periods_of(weeks)] == [instant(1)]
    assert [start for start, *_ in periods_of(weeks.compute(1, LAST))] == [instant(1), instant(8)]


def test_a_period_that_begins_on_a_corrected_day_is_listed_once(tmp_path: Path) -> None:
    """Charges and corrections of one day are billed in it: its period before ended at one o'clock."""
    begins = configuration(
        subscriptions=[{"customer": "ann", "plan": "basic", "active_from": "2026-08-01T13:00:00Z"}]
    )
    weeks = Weeks(tmp_path, catalog=begins, others=True)
    weeks.as_of += dt.timedelta(days=1)
    late(weeks, (LAST, *LATE[1:]))
    one = dt.timedelta(hours=13)
    assert set(corrections(weeks)["BillingPeriodStart"]) == {instant(8) + one}
    assert [start for start, *_ in periods_of(weeks)] == [instant(1) + one, instant(8) + one]

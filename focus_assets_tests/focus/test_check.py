"""Counting, examples and what is left out: the engine apart from the rules."""

from __future__ import annotations

import time
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from focus_assets.focus.columns import WORDS_FOR_NOTHING
from focus_assets.focus.project import project
from focus_assets.focus.rules import Reads, RowRule, check, check_parts, rules_for
from focus_assets.focus.rules.invoices import stated_totals
from focus_assets.focus.schema import internal_schema
from focus_assets_tests.focus.sample import clean

NEGATIVE = RowRule(
    id="test.negative",
    sentence="a must not be negative.",
    section="Columns: a",
    reads={"a": Reads.NUMBER},
    violation=(pl.col("a") < 0).fill_null(False),
)


def test_all_violations_are_counted_and_the_first_rows_shown() -> None:
    frame = pl.LazyFrame({"a": [1, *range(-30, 0), None]})
    result = check(frame, [NEGATIVE]).result("test.negative")
    assert result.violations == 30
    assert [example["row"] for example in result.examples] == list(range(2, 22))
    assert result.examples[0]["a"] == -30


def test_a_rule_whose_column_is_absent_or_of_another_type_is_not_run_and_says_why() -> None:
    absent = check(pl.LazyFrame({"b": [1]}), [NEGATIVE]).result("test.negative")
    assert (absent.violations, absent.not_run) == (0, "a: no such column")
    text = check(pl.LazyFrame({"a": ["-1"]}), [NEGATIVE]).result("test.negative")
    assert text.not_run == "a is stored as String; the rule reads a number"


def test_a_column_that_is_null_throughout_counts_as_absent_only_where_the_rule_says_so() -> None:
    frame = project(clean(), "1.2")
    unused = frame.with_columns(
        pl.lit(None, frame.collect_schema()[name]).alias(name)
        for name in (
            "PricingCurrency",
            "PricingCurrencyEffectiveCost",
            "PricingCurrencyListUnitPrice",
            "PricingCurrencyContractedUnitPrice",
        )
    )
    assert check(unused, rules_for("1.2")).clean
    half_used = unused.with_columns(frame.collect().get_column("PricingCurrencyListUnitPrice"))
    assert {r.rule.id for r in check(half_used, rules_for("1.2")).violated} == {
        "nulls.PricingCurrency",
        "nulls.PricingCurrencyEffectiveCost",
    }


def test_an_empty_day_is_clean() -> None:
    report = check(project(pl.LazyFrame(schema=internal_schema()), "1.2"), rules_for("1.2"))
    assert report.clean
    assert report.rows == 0


def test_a_file_with_no_known_column_is_an_answer_and_no_crash() -> None:
    report = check(pl.LazyFrame({"a": [1]}), rules_for("1.2"))
    assert len(report.blocking) == 22  # 21 mandatory columns and the name of the column


def test_thousands_of_columns_are_an_answer_in_seconds() -> None:
    wide = pl.LazyFrame({f"column_{number}": [1] for number in range(5_000)})
    started = time.monotonic()
    assert check(wide, rules_for("1.2")).result("presence.custom_columns_1_2").violations == 5_000
    assert time.monotonic() - started < 30


def test_blocking_violations_come_before_warnings() -> None:
    frame = project(clean(tier_1={"SkuMeter": None}, storage={"ListCost": Decimal(7)}), "1.2")
    report = check(frame, rules_for("1.2"))
    assert [r.rule.id for r in report.violated] == ["costs.ListCost_product", "nulls.SkuMeter_with_SkuId"]
    assert [r.rule.id for r in report.blocking] == ["costs.ListCost_product"]
    assert [r.rule.id for r in report.warnings] == ["nulls.SkuMeter_with_SkuId"]
    example = report.blocking[0].examples[0]
    assert (example["x_ChargeId"], example["ListCost"]) == ("storage", Decimal(7))


def test_duplicates_are_counted_as_surplus_rows_and_shown_once() -> None:
    frame = project(clean(), "1.2")
    report = check(pl.concat([frame, frame.head(2), frame.head(1)]), rules_for("1.2"))
    result = report.result("charges.duplicate")
    assert result.violations == 3
    assert [(e["row"], e["times"], e["x_ChargeId"]) for e in result.examples] == [
        (1, 3, "tier-1"),
        (2, 2, "tier-1-team-b"),
    ]


@pytest.mark.parametrize(
    ("dtype", "one", "another"),
    [
        (pl.List(pl.Struct({"key": pl.String, "value": pl.String})), [{"key": "team", "value": "a"}], []),
        (pl.Struct({"team": pl.String}), {"team": "a"}, {"team": "b"}),
    ],
    ids=["list of keys and values", "struct"],
)
def test_rows_that_differ_within_a_nested_column_are_no_duplicates(
    dtype: pl.DataType, one: object, another: object
) -> None:
    row = project(clean(), "1.2").head(1)
    for other, surplus in ((another, 0), (one, 1)):
        tags = pl.Series("Tags", [one, other], dtype)
        twice = pl.concat([row, row]).collect().with_columns(tags)
        assert check(twice.lazy(), rules_for("1.2")).result("charges.duplicate").violations == surplus


@pytest.mark.parametrize("year", [-26, 0, 10_000, 90_000])
def test_an_instant_of_a_year_that_python_does_not_have_is_shown_as_text(year: int) -> None:
    start = pl.datetime(2000, 10, 3, time_zone="UTC").dt.replace(year=year)
    frame = project(clean(), "1.2").with_columns(
        ChargePeriodStart=start, ListCost=pl.lit(Decimal(7), pl.Decimal(38, 18))
    )
    report = check(frame, rules_for("1.2"))
    [example, *_] = report.result("costs.ListCost_product").examples
    assert str(year).lstrip("-") in example["ChargePeriodStart"]


def test_a_parquet_file_is_checked_like_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    project(clean(storage={"Tags": "[]"}), "1.2").sink_parquet(path)
    assert [r.rule.id for r in check(pl.scan_parquet(path), rules_for("1.2")).violated] == [
        "key_values.Tags_flat"
    ]


def test_amounts_too_large_to_multiply_are_violations_and_no_crash() -> None:
    huge = Decimal("99999999999999999999")
    price = Decimal(10) ** 25
    frame = project(
        clean(
            storage={
                "PricingQuantity": huge,
                "ListUnitPrice": price,
                "PricingCurrencyListUnitPrice": price,
            }
        ),
        "1.2",
    )
    assert {r.rule.id for r in check(frame, rules_for("1.2")).violated} == {
        "costs.ListCost_product",
        "costs.ContractedCost_product",
    }


@settings(max_examples=40, deadline=None)
@given(
    quantity=st.decimals(-(10**9), 10**9, places=16),
    price=st.decimals(0, 10**6, places=12),
)
def test_a_cost_is_right_exactly_when_python_says_so(quantity: Decimal, price: Decimal) -> None:
    with localcontext(prec=80):
        cost = (quantity * price).quantize(Decimal("1e-18"), ROUND_HALF_UP)
        off = cost + Decimal("1e-18")
    rules = [rule for rule in rules_for("1.2") if rule.id == "costs.ListCost_product"]
    for listed, violations in ((cost, 0), (off, 1)):
        frame = clean(storage={"PricingQuantity": quantity, "ListUnitPrice": price, "ListCost": listed})
        assert check(frame, rules).results[0].violations == violations


def test_a_cost_that_is_off_by_a_multiple_of_two_to_the_64_is_found() -> None:
    rules = [rule for rule in rules_for("1.2") if rule.id == "costs.ListCost_product"]
    # The exact product has 28 places; 2^64 of its units are 1.8e-9, of which a cost holds the first 18 places.
    off = Decimal(2**64 * 5**10).scaleb(-28).quantize(Decimal("1e-18"))
    for quantity in (Decimal(2), Decimal(400_000), Decimal(10**12)):
        right = {"PricingQuantity": quantity, "ListUnitPrice": Decimal("0.5"), "ListCost": quantity / 2}
        assert check(clean(storage=right), rules).clean
        assert not check(clean(storage=right | {"ListCost": quantity / 2 + off}), rules).clean


def test_conditional_columns_that_a_file_lacks_do_not_hide_a_violation() -> None:
    frame = project(clean(tier_2={"ConsumedQuantity": None, "ConsumedUnit": None}), "1.2")
    lacking = frame.drop(name for name in frame.collect_schema() if name.startswith("CommitmentDiscount"))
    report = check(lacking.filter(pl.col("x_ChargeId") == "tier-2"), rules_for("1.2"))
    assert [r.rule.id for r in report.violated] == ["nulls.ConsumedQuantity_on_usage"]


@pytest.mark.parametrize(
    "unit",
    [
        "Tokens",
        "1000 Tokens",
        "GB",
        "GiB-Hours",
        "GB/Hour",
        "Seats",
        "API Calls",
        "Count-Months",
        "Requests/5 Minutes",
    ],
)
def test_units_in_the_forms_of_the_specification_are_followed(unit: str) -> None:
    assert check(project(clean(storage={"PricingUnit": unit}), "1.2"), rules_for("1.2")).clean


@pytest.mark.parametrize(
    "unit", ["tokens per second", "Token", "1,000 Tokens", "GBs/h", "hours", "Tokens/hour"]
)
def test_units_in_other_forms_are_not(unit: str) -> None:
    report = check(project(clean(storage={"PricingUnit": unit}), "1.2"), rules_for("1.2"))
    assert [r.rule.id for r in report.violated] == ["units.PricingUnit"]


def test_invoices_add_up_to_what_invoice_detail_states() -> None:
    frame = project(clean(tax={"InvoiceId": "INV-2"}), "1.2")
    stated = {"INV-1": Decimal("0.00"), "INV-2": Decimal("10.30"), "INV-3": Decimal(1)}
    result = check(frame, [stated_totals(stated)]).results[0]
    assert [(e["InvoiceId"], e["BilledCost"]) for e in result.examples] == [("INV-2", Decimal("10.2"))]


def test_totals_of_parts_are_the_totals_of_the_whole() -> None:
    rules = rules_for("1.2")
    whole = project(
        clean(
            tax={"InvoiceId": "INV-1", "ListCost": Decimal(11)},
            unused_commitment={"EffectiveCost": Decimal(1)},
        ),
        "1.2",
    )
    parts = [whole.slice(start, 2) for start in range(0, 14, 2)]
    assert [r.violations for r in check_parts(parts, rules).results] == [
        r.violations for r in check(whole, rules).results
    ]
    assert [r.examples for r in check_parts(parts, rules).results] == [
        r.examples for r in check(whole, rules).results
    ]


@pytest.mark.parametrize(
    "text",
    ["{}", ' { "a" : "x,}{\\"y\\u00e9" , "b" : -1.5e3 } ', '{"a":null,"b":true,"c":false,"d":0}'],
)
def test_flat_objects_are_flat(text: str) -> None:
    assert check(project(clean(storage={"Tags": text}), "1.2"), rules_for("1.2")).clean


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        '{"a":{}}',
        '{"a":[]}',
        '{"a":1,}',
        '{"a":01}',
        "{a:1}",
        '{"a":"\n"}',
        '{"a":1} {}',
        "null",
    ],
)
def test_anything_else_is_not(text: str) -> None:
    report = check(project(clean(storage={"Tags": text}), "1.2"), rules_for("1.2"))
    assert [r.rule.id for r in report.violated] == ["key_values.Tags_flat"]


@pytest.mark.parametrize("word", WORDS_FOR_NOTHING)
def test_a_word_for_nothing_is_no_value(word: str) -> None:
    report = check(project(clean(storage={"AvailabilityZone": word}), "1.2"), rules_for("1.2"))
    assert [r.rule.id for r in report.violated] == ["formats.AvailabilityZone_empty"]

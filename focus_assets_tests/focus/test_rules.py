"""Every rule has a seeded defect that it, and nothing else, catches; clean rows break none."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.focus.columns import VERSIONS, Format, ValueType, column, columns, own_columns
from focus_assets.focus.project import project
from focus_assets.focus.rules import RowRule, all_rules, check, rules_for
from focus_assets_tests.focus.sample import ROWS, clean

Edit = Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True)
class Defect:
    """A defective file: sample rows changed, then projected to ``version``, then edited."""

    rows: dict[str, dict[str, Any]]
    edit: Edit = lambda frame: frame
    version: str | None = None
    also: tuple[str, ...] = ()
    """Rules that cannot hold either once this one is broken."""


def row(name: str, **values: Any) -> Defect:
    return Defect({name: values})


def also(defect: Defect, *rule_ids: str) -> Defect:
    return Defect(defect.rows, defect.edit, defect.version, rule_ids)


def at(version: str, defect: Defect) -> Defect:
    return Defect(defect.rows, defect.edit, version, defect.also)


def file(edit: Edit, *, version: str | None = None, also: tuple[str, ...] = ()) -> Defect:
    return Defect({}, edit, version, also)


def _as_wrong_type(name: str) -> Edit:
    match column(name).type:
        case ValueType.DECIMAL | ValueType.BOOLEAN:
            wrong = pl.col(name).cast(pl.String)
        case ValueType.DATE_TIME:
            wrong = pl.col(name).dt.replace_time_zone(None)
        case _:
            wrong = pl.when(pl.col(name).is_not_null()).then(pl.col(name).hash())
    return lambda frame: frame.with_columns(wrong.alias(name))


def _as_bad_text(name: str) -> Edit:
    instant = column(name).type is ValueType.DATE_TIME
    text = pl.col(name).dt.to_string("%Y-%m-%dT%H:%M:%SZ") if instant else pl.col(name).cast(pl.String)
    bad = "10/3/26 0:00" if instant else "+1.5"
    given = pl.col(name).is_not_null()
    first = given & (given.cum_sum() <= 1)
    return lambda frame: frame.with_columns(pl.when(first).then(pl.lit(bad)).otherwise(text).alias(name))


def _put(name: str, value: str) -> Edit:
    """Put a value into the row of the storage service, which shares no id with another row."""
    where = pl.col("ServiceName") == "File Store"
    return lambda frame: frame.with_columns(
        pl.when(where).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
    )


def _without_id(name: str) -> tuple[str, ...]:
    """What else breaks when an optional column of the storage row suddenly has a text."""
    pairs = {
        "CommitmentDiscountName": ("nulls.CommitmentDiscountName_without_CommitmentDiscountId",),
        "CommitmentDiscountType": ("nulls.CommitmentDiscountType_with_CommitmentDiscountId",),
        "CommitmentDiscountUnit": ("nulls.CommitmentDiscountUnit_with_CommitmentDiscountQuantity",),
        "CommitmentDiscountId": (
            "nulls.CommitmentDiscountCategory_with_CommitmentDiscountId",
            "nulls.CommitmentDiscountType_with_CommitmentDiscountId",
            "nulls.CommitmentDiscountStatus_on_usage",
            "nulls.CommitmentDiscountQuantity_on_usage_and_purchases",
        ),
        "CapacityReservationId": ("nulls.CapacityReservationStatus_on_usage",),
        "AllocatedResourceId": ("nulls.AllocatedResourceId_without_AllocatedMethodId",),
        "AllocatedResourceName": ("nulls.AllocatedResourceName_without_AllocatedResourceId",),
        "InvoiceDetailId": ("nulls.InvoiceDetailId_with_InvoiceId",),
    }
    return pairs.get(name, ())


def applied(metrics: dict[str, Any]) -> str:
    """ContractApplied with one element."""
    return json.dumps({"Elements": [{"ContractId": "c", "ContractCommitmentId": "m", **metrics}]})


MARGIN = file(lambda frame: frame.with_columns(pl.lit("7").alias("Margin")))

DEFECTS: dict[str, Defect] = {
    # presence and types
    **{
        f"presence.{c.id}": file(lambda f, c=c: f.drop(c.id))
        for c in columns()
        if "Mandatory" in c.levels.values()
    },  # type: ignore[misc]
    **{  # type: ignore[misc]
        f"presence.{c.id}_recommended": file(lambda f, c=c: f.drop(c.id))
        for c in columns()
        if "Recommended" in c.levels.values()
    },
    **{f"presence.custom_columns_{v.replace('.', '_')}": at(v, MARGIN) for v in VERSIONS},
    **{f"types.{c.id}": file(_as_wrong_type(c.id)) for c in (*columns(), *own_columns())},
    # nullability
    **{
        f"nulls.{name}": row("rounding", **{name: None})
        for name in [c.id for c in (*columns(), *own_columns()) if set(c.levels) - c.nulls_in]
    },
    "nulls.BillingAccountId": also(
        row("rounding", BillingAccountId=None), "nulls.BillingAccountType_with_BillingAccountId"
    ),
    "nulls.BillingAccountType": also(
        row("rounding", BillingAccountType=None), "nulls.BillingAccountType_with_BillingAccountId"
    ),
    "nulls.BillingAccountType_with_BillingAccountId": also(
        row("tax", BillingAccountType=None), "nulls.BillingAccountType"
    ),
    "nulls.ChargeDescription": row("tax", ChargeDescription=None),
    "nulls.ListUnitPrice_on_tax": row("tax", ListUnitPrice=Decimal(1)),
    "nulls.ContractedUnitPrice_on_tax": row("tax", ContractedUnitPrice=Decimal(1)),
    "nulls.PricingCurrencyListUnitPrice_on_tax": row("tax", PricingCurrencyListUnitPrice=Decimal(1)),
    "nulls.PricingCurrencyContractedUnitPrice_on_tax": row(
        "tax", PricingCurrencyContractedUnitPrice=Decimal(1)
    ),
    "nulls.PricingCategory_on_tax": row("tax", PricingCategory="Standard"),
    "nulls.PricingQuantity_on_tax": row("tax", PricingQuantity=Decimal(1), PricingUnit="Tokens"),
    "nulls.PricingUnit_on_tax": at("1.1", row("tax", PricingUnit="Tokens")),
    "nulls.SkuId_on_tax": row("tax", SkuId="vat", SkuMeter="Tax"),
    "nulls.SkuPriceId_on_tax": row("tax", SkuPriceId="vat"),
    "nulls.ListUnitPrice_on_usage_and_purchases": row("tier-2", ListUnitPrice=None),
    "nulls.ContractedUnitPrice_on_usage_and_purchases": row("platform-fee", ContractedUnitPrice=None),
    "nulls.PricingCurrencyListUnitPrice_on_usage_and_purchases": row(
        "tier-2", PricingCurrencyListUnitPrice=None
    ),
    "nulls.PricingCurrencyContractedUnitPrice_on_usage_and_purchases": row(
        "tier-2", PricingCurrencyContractedUnitPrice=None
    ),
    "nulls.PricingCategory_on_usage_and_purchases": row("tier-2", PricingCategory=None),
    "nulls.PricingQuantity_on_usage_and_purchases": row("tier-2", PricingQuantity=None, PricingUnit=None),
    "nulls.PricingUnit_on_usage_and_purchases": at("1.1", row("tier-2", PricingUnit=None)),
    "nulls.SkuId_on_usage_and_purchases": row("tier-2", SkuId=None, SkuMeter=None),
    "nulls.SkuPriceId_on_usage_and_purchases": row("tier-2", SkuPriceId=None, SkuPriceDetails=None),
    "nulls.ConsumedQuantity_outside_usage": row(
        "platform-fee", ConsumedQuantity=Decimal(1), ConsumedUnit="Months"
    ),
    "nulls.ConsumedQuantity_on_unused_commitment": row(
        "unused-commitment", ConsumedQuantity=Decimal(1), ConsumedUnit="Tokens"
    ),
    "nulls.ConsumedQuantity_on_usage": row("tier-2", ConsumedQuantity=None, ConsumedUnit=None),
    "nulls.CommitmentDiscountCategory_with_CommitmentDiscountId": row(
        "commitment", CommitmentDiscountCategory=None
    ),
    "nulls.CommitmentDiscountType_with_CommitmentDiscountId": row("commitment", CommitmentDiscountType=None),
    "nulls.CommitmentDiscountUnit_with_CommitmentDiscountQuantity": row(
        "commitment", CommitmentDiscountUnit=None
    ),
    "nulls.ConsumedUnit_with_ConsumedQuantity": row("tier-1", ConsumedUnit=None),
    "nulls.PricingUnit_with_PricingQuantity": row("tier-1", PricingUnit=None),
    "nulls.RegionName_with_RegionId": row("storage", RegionName=None),
    "nulls.ResourceType_with_ResourceId": row("tier-1", ResourceType="Bucket"),
    "nulls.SubAccountName_with_SubAccountId": row("tier-1", SubAccountName=None),
    "nulls.SubAccountType_with_SubAccountId": row("tier-1", SubAccountType=None),
    "nulls.CapacityReservationStatus_without_CapacityReservationId": row(
        "tier-1", CapacityReservationStatus="Used"
    ),
    "nulls.CommitmentDiscountName_without_CommitmentDiscountId": row(
        "tier-1", CommitmentDiscountName="Yearly"
    ),
    "nulls.CommitmentDiscountQuantity_without_CommitmentDiscountId": row(
        "tier-1", CommitmentDiscountQuantity=Decimal(1), CommitmentDiscountUnit="Tokens"
    ),
    "nulls.CommitmentDiscountStatus_without_CommitmentDiscountId": row(
        "tier-1", CommitmentDiscountStatus="Used"
    ),
    "nulls.ResourceName_without_ResourceId": row("tier-1", ResourceName="Invoices"),
    "nulls.SkuMeter_without_SkuId": row("tax", SkuMeter="Tokens"),
    "nulls.SkuPriceDetails_without_SkuPriceId": row("tax", SkuPriceDetails="{}"),
    "nulls.CapacityReservationStatus_on_usage": row("tier-1", CapacityReservationId="cr-1"),
    "nulls.CommitmentDiscountStatus_on_usage": row("committed-usage", CommitmentDiscountStatus=None),
    "nulls.CommitmentDiscountQuantity_on_usage_and_purchases": row(
        "commitment", CommitmentDiscountQuantity=None, CommitmentDiscountUnit=None
    ),
    "nulls.SkuMeter_with_SkuId": row("tier-1", SkuMeter=None),
    # allowed values, in one row of many
    "values.BillingCurrency": row("tax", BillingCurrency="eur"),
    "values.CapacityReservationStatus": row(
        "tier-1", CapacityReservationId="cr", CapacityReservationStatus="used"
    ),
    "values.ChargeCategory": row("rounding", ChargeCategory="adjustment"),
    "values.ChargeClass": row("rounding", ChargeClass="correction"),
    "values.ChargeFrequency": row("tier-1", ChargeFrequency="Usage-based"),
    "values.CommitmentDiscountCategory": row("commitment", CommitmentDiscountCategory="usage"),
    "values.CommitmentDiscountStatus": row("committed-usage", CommitmentDiscountStatus="Active"),
    "values.PricingCategory": row("tier-1", PricingCategory="On-Demand"),
    "values.ServiceCategory": row("storage", ServiceCategory="storage"),
    "values.ServiceSubcategory": row("storage", ServiceSubcategory="Objects"),
    "values.ServiceSubcategory_parent": row("storage", ServiceSubcategory="Generative AI"),
    # formats
    **{
        f"formats.{c.id}_empty": file(_put(c.id, ""), also=_without_id(c.id))
        for c in (*columns(), *own_columns())
        if c.type is ValueType.STRING and c.format not in (Format.ALLOWED_VALUES, Format.NATIONAL_CURRENCY)
    },
    **{
        f"formats.{c.id}": file(_as_bad_text(c.id), also=(f"types.{c.id}",))
        for c in columns()
        if c.type in (ValueType.DECIMAL, ValueType.DATE_TIME)
    },
    # costs
    "costs.ListUnitPrice_negative": also(
        row("storage", ListUnitPrice=Decimal("-0.5"), ListCost=Decimal(-1)),
        "currencies.PricingCurrencyListUnitPrice_same",
    ),
    "costs.ContractedUnitPrice_negative": also(
        row("storage", ContractedUnitPrice=Decimal("-0.5"), ContractedCost=Decimal(-1)),
        "currencies.PricingCurrencyContractedUnitPrice_same",
    ),
    "costs.PricingCurrencyListUnitPrice_negative": also(
        row("storage", PricingCurrencyListUnitPrice=Decimal(-1)),
        "currencies.PricingCurrencyListUnitPrice_same",
    ),
    "costs.PricingCurrencyContractedUnitPrice_negative": also(
        row("storage", PricingCurrencyContractedUnitPrice=Decimal(-1)),
        "currencies.PricingCurrencyContractedUnitPrice_same",
    ),
    "costs.ListCost_product": row("storage", ListCost=Decimal("1.000000000000000001")),
    "costs.ContractedCost_product": row("storage", ContractedCost=Decimal("0.99")),
    "costs.EffectiveCost_of_credit": row(
        "credit", EffectiveCost=Decimal(0), PricingCurrencyEffectiveCost=Decimal(0)
    ),
    "costs.ListCost_of_credit": row("credit", ListCost=Decimal(0)),
    "costs.ContractedCost_of_credit": row("credit", ContractedCost=Decimal(5)),
    "costs.EffectiveCost_of_commitment_purchase": row(
        "commitment", EffectiveCost=Decimal(1), PricingCurrencyEffectiveCost=Decimal(1)
    ),
    "costs.EffectiveCost_of_uncommitted": row(
        "storage", EffectiveCost=Decimal(2), PricingCurrencyEffectiveCost=Decimal(2)
    ),
    "costs.EffectiveCost_of_commitment": row(
        "unused-commitment", EffectiveCost=Decimal(1), PricingCurrencyEffectiveCost=Decimal(1)
    ),
    # currencies
    "currencies.PricingCurrency_capitals": row("tier-1", PricingCurrency="eur"),
    "currencies.PricingCurrencyEffectiveCost_same": row("tier-1", PricingCurrencyEffectiveCost=Decimal(9)),
    "currencies.PricingCurrencyListUnitPrice_same": row("tier-1", PricingCurrencyListUnitPrice=Decimal(9)),
    "currencies.PricingCurrencyContractedUnitPrice_same": row(
        "tier-1", PricingCurrencyContractedUnitPrice=Decimal(9)
    ),
    # invoices
    "invoices.InvoiceId_BillingCurrency": Defect(
        {
            "tax": {"InvoiceId": "INV-1", "BillingCurrency": "USD", "PricingCurrency": "USD"},
        }
    ),
    "invoices.InvoiceId_InvoiceIssuerName": row("tax", InvoiceId="INV-1", InvoiceIssuerName="Reseller"),
    "invoices.ListCost_of_tax": row("tax", InvoiceId="INV-1", ListCost=Decimal(11)),
    "invoices.ContractedCost_of_tax": row("tax", InvoiceId="INV-1", ContractedCost=Decimal(11)),
    "invoices.EffectiveCost_of_tax": row(
        "tax", InvoiceId="INV-1", EffectiveCost=Decimal(11), PricingCurrencyEffectiveCost=Decimal(11)
    ),
    # periods
    "periods.ChargePeriod_order": row("tax", ChargePeriodEnd=dt.datetime(2026, 10, 3, tzinfo=dt.UTC)),
    "periods.BillingPeriod_order": row("tax", BillingPeriodEnd=dt.datetime(2026, 10, 1, tzinfo=dt.UTC)),
    "periods.usage_inside_billing_period": row(
        "storage", ChargePeriodStart=dt.datetime(2026, 9, 30, 23, tzinfo=dt.UTC)
    ),
    # charges
    "charges.purchase_usage_based": row("platform-fee", ChargeFrequency="Usage-Based"),
    "charges.committed_without_commitment": row("storage", PricingCategory="Committed"),
    "charges.duplicate": file(lambda frame: pl.concat([frame, frame.head(2)])),
    # what an id stands for
    "sku.SkuPriceId_SkuId": row("tier-1-team-b", SkuId="other"),
    "sku.ServiceName_ServiceCategory": at(
        "1.0", row("tier-2", ServiceCategory="Other", ServiceSubcategory="Other (Other)")
    ),
    "sku.ServiceName_ServiceSubcategory": row("tier-2", ServiceSubcategory="AI Platforms"),
    "sku.SkuId_SkuMeter": row("tier-2", SkuMeter="Words"),
    "sku.CommitmentDiscountId_CommitmentDiscountUnit": row(
        "unused-commitment", CommitmentDiscountUnit="Hours"
    ),
    # key-value columns
    "key_values.Tags_flat": row("tier-1", Tags='{"team": {"name": "a"}}'),
    "key_values.AllocatedTags_flat": row(
        "tier-1", AllocatedTags='["a"]', AllocatedResourceId="a", AllocatedMethodId="m"
    ),
    "key_values.Tags_twice": row("tier-1", Tags='{"a": "1", "b": "x\\":\\"a", "a": "2"}'),
    "key_values.AllocatedTags_twice": row(
        "tier-1", AllocatedTags='{"a":1,"a":1}', AllocatedResourceId="a", AllocatedMethodId="m"
    ),
    "key_values.SkuPriceDetails_twice": row("tier-1", SkuPriceDetails='{"x_Tier":"1","x_Tier":"2"}'),
    "key_values.ContractApplied_object": row("tier-1", ContractApplied="[]"),
    "key_values.AllocatedMethodDetails_object": row(
        "tier-1", AllocatedMethodDetails="even", AllocatedMethodId="m"
    ),
    "key_values.CommitmentProgramEligibilityDetails_object": row(
        "tier-1", CommitmentProgramEligibilityDetails="1"
    ),
    "key_values.ContractApplied_elements": row(
        "tier-1", ContractApplied=applied({"ContractCommitmentAppliedQuantity": 1})
    ),
    "key_values.ContractApplied_one_metric": row(
        "tier-1",
        ContractApplied=applied(
            {
                "ContractCommitmentAppliedCost": 2,
                "ContractCommitmentAppliedQuantity": 1,
                "ContractCommitmentAppliedUnit": "Tokens",
            }
        ),
    ),
    "key_values.ContractApplied_purchase": row(
        "platform-fee",
        ContractApplied=applied({"ContractCommitmentAppliedCost": 2}),
        ResourceId="another",
        ResourceType="Subscription",
    ),
    # units
    "units.PricingUnit": row("tier-1", PricingUnit="1000 tokens"),
    "units.ConsumedUnit": row("tier-1", ConsumedUnit="Token"),
    "units.CommitmentDiscountUnit": Defect(
        {
            name: {"CommitmentDiscountUnit": "tokens per second"}
            for name in ("commitment", "committed-usage", "unused-commitment")
        }
    ),
    "nulls.AllocatedMethodDetails_without_AllocatedMethodId": row(
        "tier-1", AllocatedMethodDetails='{"Elements":[{"AllocatedRatio":0.5}]}'
    ),
    "key_values.AllocatedMethodDetails_schema": at(
        "1.4", row("tier-1", AllocatedMethodDetails='{"Elements":[]}', AllocatedMethodId="m")
    ),
    "key_values.CommitmentProgramEligibilityDetails_schema": row(
        "tier-1", CommitmentProgramEligibilityDetails='{"CommitmentPrograms":[{"Type":"discount"}]}'
    ),
    "nulls.AllocatedResourceId_without_AllocatedMethodId": row("tier-1", AllocatedResourceId="r"),
    "nulls.AllocatedResourceName_without_AllocatedResourceId": row("tier-1", AllocatedResourceName="r"),
    "nulls.AllocatedTags_without_AllocatedResourceId": row("tier-1", AllocatedTags="{}"),
    "nulls.InvoiceDetailId_with_InvoiceId": row("tax", InvoiceId="INV-2"),
    "nulls.HostProviderName_with_RegionId": row("storage", HostProviderName=None),
    "key_values.SkuPriceDetails_flat": row("tier-1", SkuPriceDetails='{"x_Tiers": [1, 2]}'),
    "key_values.SkuPriceDetails_names": row("tier-1", SkuPriceDetails='{"x_Tier": "1", "Model": "large"}'),
}

RULES = {rule.id: rule for rule in all_rules()}


@pytest.mark.parametrize("version", VERSIONS)
def test_clean_rows_break_no_rule(version: str) -> None:
    report = check(project(clean(), version), rules_for(version))
    assert [result.sentence for result in report.violated] == []
    assert report.clean
    assert report.rows == len(ROWS)


def test_every_rule_has_a_seeded_defect() -> None:
    assert set(DEFECTS) == set(RULES)


@pytest.mark.parametrize("rule_id", sorted(DEFECTS))
def test_a_seeded_defect_is_caught_by_the_rule_meant_for_it_and_by_no_other(rule_id: str) -> None:
    defect = DEFECTS[rule_id]
    versions = RULES[rule_id].versions
    version = defect.version or ("1.2" if "1.2" in versions else versions[-1])
    changed = clean(**{name.replace("-", "_"): values for name, values in defect.rows.items()})
    report = check(defect.edit(project(changed, version)), rules_for(version))
    assert {result.rule.id for result in report.violated} == {rule_id, *defect.also}


@pytest.mark.parametrize("version", VERSIONS)
def test_on_clean_rows_only_notation_rules_and_unused_columns_are_not_run(version: str) -> None:
    report = check(project(clean(), version), rules_for(version))
    skipped = [r.rule.id for r in report.results if r.not_run]
    assert all(id_.startswith("formats.") for id_ in skipped), skipped


def test_no_row_rule_answers_null_whatever_is_null() -> None:
    nothing = clean().select(
        pl.lit(None, dtype).alias(name) for name, dtype in clean().collect_schema().items()
    )
    for rule in all_rules():
        if isinstance(rule, RowRule) and not rule.id.startswith("formats."):
            for frame in (nothing, clean()):
                answers = frame.select(rule.violation.alias("violation")).collect()["violation"]
                assert answers.dtype == pl.Boolean, rule.id
                assert answers.null_count() == 0, rule.id


def test_only_recommendations_are_warnings() -> None:
    warnings = {rule.id for rule in all_rules() if not rule.blocking}
    assert {id_ for id_ in warnings if not id_.startswith("presence.")} == {
        "invoices.ContractedCost_of_tax",
        "invoices.EffectiveCost_of_tax",
        "invoices.InvoiceId_InvoiceIssuerName",
        "invoices.ListCost_of_tax",
        "nulls.ChargeDescription",
        "nulls.HostProviderName_with_RegionId",
        "nulls.SkuMeter_with_SkuId",
        "units.CommitmentDiscountUnit",
        "units.ConsumedUnit",
        "units.PricingUnit",
        "sku.ServiceName_ServiceSubcategory",
        "sku.SkuId_SkuMeter",
    }
    assert all(id_.endswith("_recommended") for id_ in warnings if id_.startswith("presence."))


def test_sentences_and_sections_are_there_for_people() -> None:
    for rule in all_rules():
        assert rule.sentence.endswith("."), rule.id
        assert rule.section.startswith(("Columns: ", "Attributes: ")), rule.id
        assert " should " in rule.sentence or rule.blocking, rule.id

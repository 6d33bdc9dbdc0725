"""Defects that data out of the field has, by name, each caught by the rule meant for it.

``test_rules`` holds a defect for every rule; here are those that people make, in words, and the clean rows that
they are seeded into.
"""

from __future__ import annotations

import pytest

from focus_assets.focus.columns import Level, columns
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets_tests.focus.sample import clean
from focus_assets_tests.focus.test_rules import DEFECTS, RULES

MUTATIONS: dict[str, str] = {
    "list cost is not list unit price times quantity": "costs.ListCost_product",
    "contracted cost is not contracted unit price times quantity": "costs.ContractedCost_product",
    "effective cost of usage is twice what is billed": "costs.EffectiveCost_of_uncommitted",
    "effective cost of a credit is zero": "costs.EffectiveCost_of_credit",
    "effective cost of a commitment's purchase is not zero": "costs.EffectiveCost_of_commitment_purchase",
    "effective cost of a commitment does not add up to its purchase": "costs.EffectiveCost_of_commitment",
    "list cost of a credit differs from what it bills": "costs.ListCost_of_credit",
    "contracted cost of a credit differs from what it bills": "costs.ContractedCost_of_credit",
    "list unit price is negative": "costs.ListUnitPrice_negative",
    "contracted unit price is negative": "costs.ContractedUnitPrice_negative",
    "list unit price in pricing currency is negative": "costs.PricingCurrencyListUnitPrice_negative",
    "list cost of a tax is not from its bases": "invoices.ListCost_of_tax",
    "effective cost of a tax is not from its bases": "invoices.EffectiveCost_of_tax",
    "an invoice has two currencies": "invoices.InvoiceId_BillingCurrency",
    "an invoice has two issuers": "invoices.InvoiceId_InvoiceIssuerName",
    "an invoice line has no detail": "nulls.InvoiceDetailId_with_InvoiceId",
    "SKU is null on usage": "nulls.SkuId_on_usage_and_purchases",
    "SKU is set on tax": "nulls.SkuId_on_tax",
    "SKU price is null on usage": "nulls.SkuPriceId_on_usage_and_purchases",
    "SKU price is set on tax": "nulls.SkuPriceId_on_tax",
    "SKU meter is missing": "nulls.SkuMeter_with_SkuId",
    "SKU meter has no SKU": "nulls.SkuMeter_without_SkuId",
    "SKU price details have no SKU price": "nulls.SkuPriceDetails_without_SkuPriceId",
    "a SKU price has two SKUs": "sku.SkuPriceId_SkuId",
    "a SKU has two meters": "sku.SkuId_SkuMeter",
    "a service has two categories": "sku.ServiceName_ServiceCategory",
    "a service has two subcategories": "sku.ServiceName_ServiceSubcategory",
    "list unit price is null on usage": "nulls.ListUnitPrice_on_usage_and_purchases",
    "contracted unit price is null on a purchase": "nulls.ContractedUnitPrice_on_usage_and_purchases",
    "list unit price is set on tax": "nulls.ListUnitPrice_on_tax",
    "pricing quantity is null on usage": "nulls.PricingQuantity_on_usage_and_purchases",
    "pricing quantity is set on tax": "nulls.PricingQuantity_on_tax",
    "pricing unit is missing": "nulls.PricingUnit_with_PricingQuantity",
    "pricing category is set on tax": "nulls.PricingCategory_on_tax",
    "pricing category is null on usage": "nulls.PricingCategory_on_usage_and_purchases",
    "consumed quantity on a purchase": "nulls.ConsumedQuantity_outside_usage",
    "consumed quantity is null on usage": "nulls.ConsumedQuantity_on_usage",
    "consumed quantity on an unused commitment": "nulls.ConsumedQuantity_on_unused_commitment",
    "consumed unit is missing": "nulls.ConsumedUnit_with_ConsumedQuantity",
    "charge category in lower case in one row of many": "values.ChargeCategory",
    "charge frequency in another case in one row of many": "values.ChargeFrequency",
    "charge class in lower case in one row of many": "values.ChargeClass",
    "pricing category of another vocabulary": "values.PricingCategory",
    "service category in lower case": "values.ServiceCategory",
    "service subcategory that FOCUS does not have": "values.ServiceSubcategory",
    "service subcategory under the wrong parent": "values.ServiceSubcategory_parent",
    "commitment status of another vocabulary": "values.CommitmentDiscountStatus",
    "billing currency in lower case": "values.BillingCurrency",
    "pricing currency in lower case": "currencies.PricingCurrency_capitals",
    "effective cost differs between equal currencies": "currencies.PricingCurrencyEffectiveCost_same",
    "effective cost in pricing currency is null": "nulls.PricingCurrencyEffectiveCost",
    "tags nest": "key_values.Tags_flat",
    "tags have a key twice": "key_values.Tags_twice",
    "SKU price details nest": "key_values.SkuPriceDetails_flat",
    "a key of SKU price details has no x_": "key_values.SkuPriceDetails_names",
    "a contract's quantity has no unit": "key_values.ContractApplied_elements",
    "empty text instead of null": "formats.AvailabilityZone_empty",
    "a date in American notation": "formats.ChargePeriodStart",
    "a number with a plus sign": "formats.BilledCost",
    "a cost stored as text": "types.BilledCost",
    "an instant without time zone": "types.ChargePeriodStart",
    "a unit that is a phrase": "units.CommitmentDiscountUnit",
    "a unit in lower case": "units.PricingUnit",
    "charge period ends before it starts": "periods.ChargePeriod_order",
    "billing period ends when it starts": "periods.BillingPeriod_order",
    "usage outside its billing period that is no correction": "periods.usage_inside_billing_period",
    "a row twice": "charges.duplicate",
    "a purchase is usage-based": "charges.purchase_usage_based",
    "committed price without commitment": "charges.committed_without_commitment",
    "a custom column without x_": "presence.custom_columns_1_2",
    "billed cost is null": "nulls.BilledCost",
    "region without name": "nulls.RegionName_with_RegionId",
    "sub account without name": "nulls.SubAccountName_with_SubAccountId",
    "an allocated resource without method": "nulls.AllocatedResourceId_without_AllocatedMethodId",
    "usage in a region without host": "nulls.HostProviderName_with_RegionId",
    **{
        f"mandatory column {entry.id} is dropped": f"presence.{entry.id}"
        for entry in columns()
        if Level.MANDATORY in entry.levels.values()
    },
}


def test_there_are_at_least_sixty_beside_the_dropped_columns_and_each_is_another() -> None:
    assert len([name for name in MUTATIONS if "dropped" not in name]) >= 60
    assert len(set(MUTATIONS.values())) == len(MUTATIONS)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_defect_of_the_field_is_caught_by_the_rule_meant_for_it(name: str) -> None:
    rule_id = MUTATIONS[name]
    defect, versions = DEFECTS[rule_id], RULES[rule_id].versions
    version = defect.version or ("1.2" if "1.2" in versions else versions[-1])
    changed = clean(**{row.replace("-", "_"): values for row, values in defect.rows.items()})
    assert check(project(clean(), version), rules_for(version)).clean
    assert check(defect.edit(project(changed, version)), rules_for(version)).result(rule_id).violations

"""FOCUS Cost and Usage rows from rated lines: one row per line, in the stored shape.

What belongs here: which column says what. What does not: amounts (``rating``), the layers of dimensions
(``dimensions``), ids of SKUs (``sku``), tags (``tags``), and the shape of a version (``project``).
``docs/mapping.md`` gives each column its FOCUS rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import CreditCharge
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.key_values import vendor_prefix
from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import multiply, round_to
from focus_assets.focus.charge_terms import charge_terms
from focus_assets.focus.columns import WORDS_FOR_NOTHING
from focus_assets.focus.credit_terms import credit_terms
from focus_assets.focus.custom_currency import priced
from focus_assets.focus.dimensions import Resolution, resolve
from focus_assets.focus.event_values import METER, SUBJECT, event_values, field_of, tag_dimensions
from focus_assets.focus.fee_terms import fee_terms
from focus_assets.focus.invoice_lines import default_issuer, invoice_id
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.settable import SETTABLE
from focus_assets.focus.sku import require_one_sku_per_price
from focus_assets.focus.tags import tags, with_fixed_tags
from focus_assets.focus.units import FEE_UNIT, MONEY_UNIT
from focus_assets.rating.lines import (
    CREDIT_EXPIRY_COMPONENT,
    CREDIT_PURCHASE_COMPONENT,
    FLAT_FEE_COMPONENT,
    FREE_COMPONENT,
    LINE_KEY,
    MINIMUM_COMPONENT,
    TIER_FEE_COMPONENT,
    USAGE_COMPONENT,
)

NOT_FILLED: Final = (
    "AllocatedMethodDetails",
    "AllocatedMethodId",
    "AllocatedResourceId",
    "AllocatedResourceName",
    "AllocatedTags",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "CommitmentProgramEligibilityDetails",
)
"""Columns that are null on every row: nothing is reserved, discounted for a commitment or allocated here."""

_MINIMUM: Final = pl.col("component") == MINIMUM_COMPONENT
_FLAT: Final = pl.col("component") == FLAT_FEE_COMPONENT
_FEE: Final = pl.col("component").is_in(
    [TIER_FEE_COMPONENT, MINIMUM_COMPONENT, FLAT_FEE_COMPONENT, CREDIT_PURCHASE_COMPONENT]
)
_OF_CREDIT: Final = pl.col("component").is_in([CREDIT_PURCHASE_COMPONENT, CREDIT_EXPIRY_COMPONENT])


def build(
    lines: pl.LazyFrame,
    slices: Sequence[ChargeSlice],
    catalog: Catalog,
    fees: Sequence[Fee] = (),
    *,
    in_order: bool = False,
) -> pl.LazyFrame:
    """The FOCUS rows of rated lines.

    Args:
        lines: :data:`~focus_assets.rating.lines.RATED_LINES`, in any order.
        slices: the slices the lines were rated in.
        catalog: the snapshot that the slices come from.
        fees: the flat fees that lines of theirs are among.
        in_order: whether lines are in the order of their key already, as rating gives them; then they need not all be
            held at once to be sorted.

    Returns:
        :func:`~focus_assets.focus.schema.internal_schema`, one row per line, in the order of
        :data:`~focus_assets.rating.lines.LINE_KEY`; lines that no FOCUS column tells apart are one row. Nothing
        is computed until it is collected. Costs are exact and in the charge's currency, instants UTC. A line of
        no slice keeps its amounts and has null accounts, which the checks report: no amount is lost on the way.

    Raises:
        UnresolvedDimension, InvalidDimension: see :func:`~focus_assets.focus.dimensions.resolve`.
        AmbiguousSkuPriceError: a SkuPriceId would have two SkuIds.
    """
    resolution = resolve(catalog)
    require_one_sku_per_price(catalog)
    prefix = vendor_prefix(catalog.defaults.vendor_tag_prefix)
    used = {s.charge.meter.slug for s in slices}
    meters = [meter for meter in catalog.meters if meter.slug in used]
    facts, prices = (
        pl.concat(parts)
        for parts in zip(
            charge_terms(slices, resolution, catalog.defaults),
            fee_terms(fees, resolution, catalog.defaults),
            strict=True,
        )
    )
    # Narrow lines are sorted before they are widened to FOCUS rows; the joins keep their order.
    ordered = lines if in_order else lines.sort(*LINE_KEY)
    return _built(ordered, facts, prices, meters, resolution, prefix, default_issuer(catalog))


def build_credit(lines: pl.LazyFrame, charges: Sequence[CreditCharge], catalog: Catalog) -> pl.LazyFrame:
    """The FOCUS rows of buying credit and of letting it expire, as :func:`build` gives those of usage and fees."""
    resolution = resolve(catalog)
    prefix = vendor_prefix(catalog.defaults.vendor_tag_prefix)
    facts, prices = credit_terms(charges, catalog, resolution)
    return _built(lines.sort(*LINE_KEY), facts, prices, [], resolution, prefix, default_issuer(catalog))


def _built(
    lines: pl.LazyFrame,
    facts: pl.DataFrame,
    prices: pl.DataFrame,
    meters: Sequence[Meter],
    resolution: Resolution,
    prefix: str | None,
    issuer: str,
) -> pl.LazyFrame:
    fixed_keys = _fixed_keys(meters, facts)
    has_fixed = facts["_fixed_tags"].null_count() < facts.height
    wide = (
        lines.join(facts.lazy(), on=["charge_id", "slice_from"], how="left", maintain_order="left")
        .join(
            prices.lazy(),
            on=["_terms", "component", "tier"],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        .with_columns(event_values(meters, _wanted(meters, resolution), prefix).alias("_event"))
        .with_columns(**_dimensions(meters, resolution), _tags=_tags(has_fixed))
    )
    if any(_may_coincide(meter, resolution, fixed_keys[meter.slug]) for meter in meters):
        wide = _merged(wide)
    wide = priced(wide, converts=facts["_rate"].null_count() < facts.height)
    columns = _columns(issuer)
    return wide.select(columns[name].alias(name) for name in internal_schema())


def _fixed_keys(meters: Sequence[Meter], facts: pl.DataFrame) -> Mapping[str, set[str]]:
    """The keys of the fixed tags that some row of each meter has."""
    found: dict[str, set[str]] = {meter.slug: set() for meter in meters}
    stated = facts.select(METER, "_fixed_tags").unique().drop_nulls()
    for slug, fixed in stated.iter_rows():
        found[slug].update(json.loads(fixed))
    return found


def _may_coincide(meter: Meter, resolution: Resolution, fixed_keys: set[str]) -> bool:
    """Whether lines with different dimensions or subjects can end in equal FOCUS rows.

    A dimension that is neither a tag nor part of the SKU can coincide with the value that stands in where an
    event has none, as a fixed tag can; a subject can where SubAccountId is set to something else.
    """
    apart = {*tag_dimensions(meter), *meter.sku_dimensions}
    account = resolution.of(meter.slug, "SubAccountId")
    return (
        not apart.issuperset(meter.group_by)
        or not fixed_keys.isdisjoint(apart)
        or account.follows != SUBJECT
        or account.dimension is not None
        or any("SubAccountId" in own for own in resolution.customers.values())
    )


def _merged(wide: pl.LazyFrame) -> pl.LazyFrame:
    """Lines that agree in all that FOCUS shows, added up; in the order of the first of each.

    Quantities add up exactly, but each line's cost was rounded to 18 places, and their sum need not be the product
    of the summed quantity that FOCUS asks for: list and contracted cost are multiplied again, and billed and
    effective cost keep their distance from the contracted one.
    """
    amounts = ("pricing_quantity", "list_cost", "contracted_cost", "billed_cost", "effective_cost")
    consumed = pl.col("consumed_quantity")
    key = [
        "charge_id",
        "slice_from",
        "component",
        "tier",
        "list_unit_price",
        "contracted_unit_price",
        *SETTABLE,
        "_shown_sku",
        "_tags",
    ]
    sums = [pl.col(name).sum() for name in amounts]
    # A sum of nulls is 0, but a fee consumes nothing at all.
    sums.append(pl.when(consumed.is_not_null().any()).then(consumed.sum()).alias("consumed_quantity"))
    summed = {*amounts, "consumed_quantity"}
    keyed = wide.with_columns(_shown_sku=pl.col("_event").struct.field("sku"))
    rest = [name for name in keyed.collect_schema().names() if name not in summed and name not in key]
    summed_up = keyed.group_by(key, maintain_order=True).agg(*sums, *(pl.col(name).first() for name in rest))
    quantity, contracted = pl.col("pricing_quantity"), pl.col("contracted_cost")
    product = multiply(quantity, pl.col("contracted_unit_price"))
    return summed_up.with_columns(
        multiply(quantity, pl.col("list_unit_price")).alias("list_cost"),
        product.alias("contracted_cost"),
        (pl.col("billed_cost") - contracted + product).alias("billed_cost"),
        (pl.col("effective_cost") - contracted + product).alias("effective_cost"),
    )


def _tags(has_fixed: bool) -> pl.Expr:
    """The tags of a widened line; ``has_fixed``: whether settings state some for any of them."""
    event = pl.col("_event").struct
    own = tags(event.field("before"), pl.col("_vendor_tags"), event.field("after"))
    return with_fixed_tags(own, pl.col("_fixed_tags")) if has_fixed else own


def _wanted(meters: Sequence[Meter], resolution: Resolution) -> list[str]:
    """The event dimensions that some column of some meter takes its value from."""
    answers = [resolution.of(meter.slug, column) for meter in meters for column in SETTABLE]
    return sorted({answer.dimension for answer in answers if answer.dimension is not None})


def _dimensions(meters: Sequence[Meter], resolution: Resolution) -> Mapping[str, pl.Expr]:
    """Each settable column: the event's value, else customer, meter or default, else what it follows."""
    made: dict[str, pl.Expr] = {}
    for column, settable in SETTABLE.items():
        answers = [resolution.of(meter.slug, column) for meter in meters]
        by_dimension: dict[str, list[str]] = {}
        for answer in answers:
            if answer.dimension is not None:
                by_dimension.setdefault(answer.dimension, []).append(answer.meter)
        # FOCUS attribute Null Handling: an empty text is no value, nor is N/A. One event that says so, and the
        # whole day would break the rule.
        values: list[pl.Expr] = [
            pl.when(pl.col(METER).is_in(slugs) & ~field_of(name).is_in(WORDS_FOR_NOTHING)).then(
                field_of(name)
            )
            for name, slugs in sorted(by_dimension.items())
        ]
        values.append(pl.col(f"_{column}"))
        if settable.follows is not None:
            subject = pl.when(~pl.col(SUBJECT).is_in(WORDS_FOR_NOTHING)).then(pl.col(SUBJECT))
            followed = made.get(settable.follows, subject)
            values.append(pl.when(pl.col(f"_follows_{column}")).then(followed))
        value = pl.coalesce(values)
        if settable.describes is not None:
            value = pl.when(made[settable.describes].is_not_null()).then(value)
        made[column] = value
    return made


def _columns(issuer: str) -> Mapping[str, pl.Expr]:
    """Every column of the stored shape as an expression over the widened lines; ``issuer``: who invoices mostly."""
    unit = (
        pl.when(_MINIMUM)
        .then(pl.lit(MONEY_UNIT))
        .when(_OF_CREDIT)
        .then(pl.col("_unit"))
        .when(_FEE)
        .then(pl.lit(FEE_UNIT))
        .otherwise(pl.col("_pricing_unit"))
    )
    component = pl.concat_str(
        pl.col("component"), pl.lit(":") + pl.col("tier").cast(pl.String), ignore_nulls=True
    )
    sku = pl.col("_event").struct.field("sku")
    schema = internal_schema()
    return {
        **{name: pl.lit(None, schema[name]) for name in NOT_FILLED},
        **{name: pl.col(name) for name in SETTABLE},
        "BilledCost": _rounded("billed_cost"),
        "BillingAccountId": pl.col("_account_id"),
        "BillingAccountName": pl.col("_account_name"),
        "BillingAccountType": pl.lit("Customer"),
        "BillingCurrency": pl.col("_currency"),
        "BillingPeriodEnd": pl.col("_billing_to"),
        "BillingPeriodStart": pl.col("_billing_from"),
        "ChargeCategory": pl.when(_FEE).then(pl.lit("Purchase")).otherwise(pl.lit("Usage")),
        # What corrects a closed period is made of such rows afterwards (``billing.corrections``).
        "ChargeClass": pl.lit(None, pl.String),
        "ChargeDescription": pl.concat_str(
            pl.col("_title"),
            _component_title(),
            _plain(pl.col("contracted_unit_price")) + pl.lit(" per ") + unit,
            pl.col("_plan_title"),
            separator=", ",
            ignore_nulls=True,
        ),
        "ChargeFrequency": pl.when(~_FEE)
        .then(pl.lit("Usage-Based"))
        .when((pl.col("tier") == 1) | (_FLAT & ~pl.col("_once")))
        .then(pl.lit("Recurring"))
        .otherwise(pl.lit("One-Time")),
        "ChargePeriodEnd": pl.col("slice_to"),
        "ChargePeriodStart": pl.col("slice_from"),
        "ConsumedQuantity": pl.col("consumed_quantity"),
        "ConsumedUnit": pl.when(pl.col("consumed_quantity").is_not_null()).then(pl.col("_unit")),
        # What counts towards a commitment is known once credit has paid (``billing.contract_applied``).
        "ContractApplied": pl.lit(None, pl.String),
        "ContractedCost": pl.col("contracted_cost"),
        "ContractedUnitPrice": pl.col("contracted_unit_price"),
        "EffectiveCost": _rounded("effective_cost"),
        "InvoiceDetailId": pl.col("_invoice_line")
        + pl.lit("/")
        + pl.coalesce(pl.col("_line_name"), pl.col("component")),
        "InvoiceId": invoice_id(pl.col("_invoice"), pl.col("InvoiceIssuerName"), issuer),
        "ListCost": pl.col("list_cost"),
        "ListUnitPrice": pl.col("list_unit_price"),
        "PricingCategory": pl.lit("Standard"),
        "PricingCurrency": pl.coalesce("_pricing_currency", "_currency"),
        "PricingCurrencyContractedUnitPrice": pl.col("_pricing_contracted"),
        "PricingCurrencyEffectiveCost": pl.when(pl.col("_rate").is_null())
        .then(_rounded("effective_cost"))
        .otherwise(pl.col("_pricing_effective")),
        "PricingCurrencyListUnitPrice": pl.col("_pricing_list"),
        "PricingQuantity": pl.col("pricing_quantity"),
        "PricingUnit": unit,
        "SkuId": pl.col("_sku_key") + pl.when(_MINIMUM).then(pl.lit(f"/{MINIMUM_COMPONENT}")).otherwise(sku),
        "SkuPriceDetails": pl.col("_price_details"),
        "SkuPriceId": pl.col("_price_id") + sku,
        "Tags": pl.col("_tags"),
        "x_AdjustmentReason": pl.lit(None, pl.String),
        "x_ChargeId": pl.col("charge_id"),
        "x_CorrectedInvoiceId": pl.lit(None, pl.String),
        "x_CreditGrantId": pl.col("_grant"),
        "x_CustomerKey": pl.col("_customer_key"),
        "x_FeatureKey": pl.col("_feature_key"),
        "x_IsEstimated": pl.col("_invoice").is_null(),
        "x_MeterSlug": pl.col(METER),
        "x_OpenMeterInvoiceId": pl.lit(None, pl.String),
        "x_PlanKey": pl.col("_plan_key"),
        "x_PriceComponent": component,
        "x_SubscriptionKey": pl.col("_subscription_key"),
    }


def _rounded(cost: str) -> pl.Expr:
    """The cost of a fee on an invoice as the invoice shows it: such a row is the whole line. Usage stays exact."""
    # Below a maximum a fee is on the line of the usage, which is rounded as a whole.
    fee = (
        _FEE
        & pl.col("_minor_unit").is_not_null()
        & (pl.coalesce("_line_name", pl.lit("")) != USAGE_COMPONENT)
    )
    return pl.when(fee).then(round_to(pl.col(cost), pl.col("_minor_unit"))).otherwise(pl.col(cost))


def _component_title() -> pl.Expr:
    """``usage``, ``usage in tier 2``, ``free units``, ``fee of tier 2``, ``flat fee`` or ``credit``."""
    tier = pl.lit("tier ") + pl.col("tier").cast(pl.String)
    usage = pl.concat_str(pl.lit("usage"), pl.lit(" in ") + tier, ignore_nulls=True)
    free = pl.concat_str(pl.lit("free units"), pl.lit(" in ") + tier, ignore_nulls=True)
    return (
        pl.when(_MINIMUM)
        .then(pl.lit("minimum spend"))
        .when(_FLAT)
        .then(pl.lit("flat fee"))
        .when(pl.col("component") == CREDIT_PURCHASE_COMPONENT)
        .then(pl.lit("credit"))
        .when(pl.col("component") == CREDIT_EXPIRY_COMPONENT)
        .then(pl.lit("credit that was not used"))
        .when(_FEE)
        .then(pl.lit("fee of ") + tier)
        .when(pl.col("component") == FREE_COMPONENT)
        .then(free)
        .otherwise(usage)
    )


def _plain(price: pl.Expr) -> pl.Expr:
    """A price as people write it: without trailing zeros. Its text has a point, so none but those go."""
    return price.cast(pl.String).str.strip_chars_end("0").str.strip_suffix(".")

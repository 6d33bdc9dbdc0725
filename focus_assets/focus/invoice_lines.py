"""Which invoice, and which line of it, a rated line belongs to: InvoiceId and InvoiceDetailId.

What belongs here: the names of lines and how rows refer to them. What does not: when a period closes, and what
rounding a line adds (``billing``).

A line of an invoice is what OpenMeter calls a detailed line: one component of a charge's own price, such as a tier.
Rows are finer (days, dimensions, tiers of the published price), so each row is on exactly one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import polars as pl

from focus_assets.catalog.charges import Charge, ChargeSlice
from focus_assets.catalog.credit_charges import Charged, CreditCharge
from focus_assets.catalog.fees import Fee
from focus_assets.catalog.periods import Period
from focus_assets.catalog.prices import TieredPrice
from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.sku import FREE_TIER, published_tier
from focus_assets.rating import price_table
from focus_assets.rating.lines import CREDIT_COMPONENT, FREE_COMPONENT, TIER_FEE_COMPONENT, USAGE_COMPONENT

INVOICE_LINES: Final = pl.Schema(
    {"charge_id": pl.String(), "component": pl.String(), "tier": pl.Int32(), "line": pl.String()}
)
"""The name of the line that each component and tier of a charge's rated lines is on."""


def line_stem(charged: Charged) -> str:
    """InvoiceDetailId up to the line's name; the same over all slices of a charge in a billing period."""
    period = line_period(charged)
    if isinstance(charged, CreditCharge):
        # A grant is bought once and expires once, on lines of different days.
        return f"{charged.charge_id}/{period.start:%Y%m%dT%H%M%SZ}"
    if isinstance(charged, Fee) or _is_one_line(charged):
        return charged.charge_id
    return f"{charged.charge_id}/{period.start:%Y%m%dT%H%M%SZ}"


def _is_one_line(charged: ChargeSlice) -> bool:
    """Whether its charge is one line of one invoice, however early it ends: days before do not know of that."""
    charge, billing = charged.charge, charged.billing
    return charged.part is None and billing.start <= charge.period.start and charge.rating.end <= billing.end


def line_period(charged: Charged) -> Period:
    """What the lines of an invoice are for: the part of the charge in the billing period, or the fee's service."""
    return charged.billed_period if isinstance(charged, ChargeSlice) else charged.service


def line_name(charge: Charge, component: str, start: Decimal) -> str:
    """The line that a component of a charge is on where it prices from the quantity ``start`` on.

    The tiers are those of the charge's own price. Volume tiers move all usage to another tier, and what a maximum
    leaves of one tier depends on the others, so there all usage is on one line.
    """
    if component not in (USAGE_COMPONENT, FREE_COMPONENT, TIER_FEE_COMPONENT):
        return component
    if getattr(charge.rate_card.price, "maximum_amount", None) is not None:
        return USAGE_COMPONENT
    return component_name(charge, component, start)


def component_name(charge: Charge, component: str, start: Decimal) -> str:
    """The component of the charge's own price that usage or a tier's fee from the quantity ``start`` on is."""
    price, discounts = charge.rate_card.price, charge.rate_card.discounts
    is_fee = component == TIER_FEE_COMPONENT
    name = TIER_FEE_COMPONENT if is_fee else USAGE_COMPONENT
    if isinstance(price, TieredPrice) and price.mode == "volume":
        return name
    if component == FREE_COMPONENT:
        return f"{USAGE_COMPONENT}:{FREE_TIER}"
    if not isinstance(price, TieredPrice):
        return name
    tier = published_tier(price, discounts, start, fee=is_fee)
    return name if tier is None else f"{name}:{tier[0]}"


def credit_line(line: pl.Expr) -> pl.Expr:
    """The line of the credits that a charge was given, from any other of its lines: OpenMeter's credits, as a line."""
    return line.str.replace(r"/[^/]*$", f"/{CREDIT_COMPONENT}")


def invoice_lines(slices: Sequence[ChargeSlice]) -> pl.LazyFrame:
    """:data:`INVOICE_LINES` of the charges in ``slices``; a component that is not in it is a line by itself."""
    charges = {s.charge.charge_id: s.charge for s in slices}
    segments = price_table(slices).select("charge_id", "component", "tier", "segment_from").collect()
    rows = [
        (charge_id, component, tier, line_name(charges[charge_id], component, start))
        for charge_id, component, tier, start in segments.iter_rows()
    ]
    return pl.LazyFrame(rows, schema=INVOICE_LINES, orient="row")


def default_issuer(catalog: Catalog) -> str:
    """InvoiceIssuerName where nothing nearer to a charge says otherwise."""
    return catalog.defaults.invoice_issuer_name or catalog.defaults.provider_name


def invoice_id(invoice: pl.Expr, issuer: pl.Expr, default: str) -> pl.Expr:
    """InvoiceId: that of the billing period, and the issuer where it is another; an invoice has one issuer."""
    suffix = pl.when(issuer != default).then(_of_issuer(issuer)).otherwise(pl.lit(""))
    return invoice + suffix.fill_null("")


def is_on(invoices: Iterable[str]) -> pl.Expr:
    """Whether InvoiceId is one of ``invoices`` (names without issuer) of whatever issuer."""
    names = sorted(invoices)
    named, issuer = pl.col("InvoiceId"), pl.col("InvoiceIssuerName")
    found = named.is_in(names) | named.str.strip_suffix(_of_issuer(issuer).fill_null("")).is_in(names)
    return found.fill_null(False)


def _of_issuer(issuer: pl.Expr) -> pl.Expr:
    escaped = issuer.str.replace_all("%", "%25", literal=True).str.replace_all("/", "%2F", literal=True)
    return pl.lit("/") + escaped

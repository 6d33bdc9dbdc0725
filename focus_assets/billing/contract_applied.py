"""ContractApplied: which commitments the rows of a day count towards, and with how much.

What belongs here: the column, and ResourceId of what is purchased. What does not: the commitments themselves
(``commitments``, ``prepaid``); both are listed by the same rules, so that each id is in Contract Commitment.

Usage, fees and the top-up of a charge with a minimum spend count towards it, after discounts and before credit, and
so do corrections of their cost alone; what prepaid credit paid, what of it expires and its own purchase count towards
that credit. FOCUS 1.3 wants a Purchase to have the commitment as its resource, and so it has here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from focus_assets.billing.commitments import contract_of, minimum_of
from focus_assets.billing.correction_signs import is_correction
from focus_assets.billing.invoice_rows import INVOICE_LINE, TAX
from focus_assets.billing.prepaid import is_commitment
from focus_assets.billing.rounding import ROUNDING
from focus_assets.catalog.charges import ChargeSlice
from focus_assets.catalog.credit_charges import Charged
from focus_assets.catalog.snapshot import Catalog
from focus_assets.decimals import UNIT_PRICE, multiply
from focus_assets.focus.credit_terms import POOL
from focus_assets.focus.schema import internal_schema
from focus_assets.lake import canonical_json
from focus_assets.rating.lines import CREDIT_COMPONENT, CREDIT_PURCHASE_COMPONENT
from focus_assets.settings import CommitmentSettings

_COLUMN: Final = "ContractApplied"
_RESOURCE: Final = ("ResourceId", "ResourceName", "ResourceType")
_WITHOUT_PRICE: Final = (ROUNDING, INVOICE_LINE, TAX, CREDIT_COMPONENT)
_TERMS: Final = pl.Schema(
    {
        "_id": pl.String(),
        "_keys": pl.String(),
        "_rate": UNIT_PRICE,
        **{f"_{name}": pl.String() for name in _RESOURCE},
    }
)


@dataclass(frozen=True)
class Commitments:
    """What the rows of a day may count towards: ``minimums`` by charge, ``credits`` by grant."""

    minimums: pl.DataFrame
    credits: pl.DataFrame

    def applied_to(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """``rows`` (stored shape, in their order) with ContractApplied, null where nothing is committed."""
        if self.minimums.is_empty() and self.credits.is_empty():
            return rows.with_columns(pl.lit(None, pl.String).alias(_COLUMN))
        # A correction counts where what it corrects did: usage and fees, and their cost alone. What rounding, invoices
        # by hand, tax and credit added never counted, so taking it back does not either.
        of_cost = (
            is_correction()
            & (pl.col("ChargeCategory") == "Adjustment")
            & pl.col("x_AdjustmentReason").eq_missing("correction")
            & ~pl.col("x_PriceComponent").is_in(_WITHOUT_PRICE)
        )
        counts = pl.col("ChargeCategory").is_in(["Usage", "Purchase"]) | of_cost
        in_money = pl.col("PricingCurrency") == pl.col("BillingCurrency")
        of_minimum = (
            pl.when(in_money)
            .then("EffectiveCost")
            .otherwise(
                # Credit in that currency may have been cheaper than what the minimum is worth.
                multiply(pl.col("PricingCurrencyEffectiveCost"), pl.coalesce("_rate", pl.lit(1, UNIT_PRICE)))
            )
        )
        is_bought = pl.col("x_PriceComponent") == CREDIT_PURCHASE_COMPONENT
        of_credit = pl.when(is_bought).then("BilledCost").otherwise("EffectiveCost")
        elements = [
            pl.when(counts).then(_element(cost, keys))
            for cost, keys in ((of_minimum, "_keys"), (of_credit, "_keys_credit"))
        ]
        applied = pl.concat_str(elements, separator=",", ignore_nulls=True)
        # Joined to nothing the elements are an empty text.
        applies = counts & pl.any_horizontal(pl.col("_keys", "_keys_credit").is_not_null())
        purchased = applies & (pl.col("ChargeCategory") == "Purchase")
        first = pl.col("_keys").is_not_null()
        return (
            rows.join(
                self.minimums.lazy(), left_on="x_ChargeId", right_on="_id", how="left", maintain_order="left"
            )
            .join(
                self.credits.lazy(),
                left_on="x_CreditGrantId",
                right_on="_id",
                how="left",
                maintain_order="left",
                suffix="_credit",
            )
            .with_columns(
                pl.when(applies)
                .then(pl.lit('{"Elements":[') + applied + pl.lit("]}"))
                .otherwise(pl.lit(None, pl.String))
                .alias(_COLUMN),
                *(
                    pl.when(purchased & first)
                    .then(f"_{name}")
                    .when(purchased)
                    .then(f"_{name}_credit")
                    .otherwise(name)
                    .alias(name)
                    for name in _RESOURCE
                ),
            )
            .select(internal_schema().names())
        )


NO_COMMITMENTS: Final = Commitments(pl.DataFrame(schema=_TERMS), pl.DataFrame(schema=_TERMS))
"""What rows count towards where commitments are not asked for."""


def commitments_of(
    catalog: Catalog, charged: Sequence[Charged], terms: CommitmentSettings | None, start: dt.date
) -> Commitments:
    """The commitments that rows of a day can count towards; none without ``terms``.

    ``charged`` is what is rated on it; ``start`` the first day of all.
    """
    if terms is None:
        return NO_COMMITMENTS
    minimums: dict[str, tuple[Any, ...]] = {}
    for s in charged:
        if isinstance(s, ChargeSlice) and minimum_of(s) and s.charge_id not in minimums:
            charge = s.charge
            keys = _keys(s.charge_id, contract_of(charge, start)[0])
            rate = charge.priced_in.rate if charge.priced_in else None
            minimums[s.charge_id] = (s.charge_id, keys, rate, s.charge_id, charge.feature.title, terms.type)
    credits = [
        (grant.grant_id, _keys(grant.grant_id, grant.grant_id), None, grant.grant_id, grant.title, POOL)
        for grant in catalog.credits
        if is_commitment(grant, catalog, start)
    ]
    return Commitments(
        pl.DataFrame(list(minimums.values()), schema=_TERMS, orient="row"),
        pl.DataFrame(credits, schema=_TERMS, orient="row"),
    )


def _keys(commitment: str, contract: str) -> str:
    """An element after its cost: FOCUS 1.3 wants all five keys, and 1.4 the quantity null where there is a cost."""
    keys = {
        "ContractCommitmentAppliedQuantity": None,
        "ContractCommitmentAppliedUnit": None,
        "ContractCommitmentId": commitment,
        "ContractId": contract,
    }
    return canonical_json(keys).decode().removeprefix("{")


def _element(cost: pl.Expr, keys: str) -> pl.Expr:
    """One commitment, or null; the cost is a number of JSON, so that it has no superfluous zeros."""
    number = cost.cast(pl.String).str.strip_chars_end("0").str.strip_suffix(".")
    return pl.lit('{"ContractCommitmentAppliedCost":') + number + pl.lit(",") + pl.col(keys)

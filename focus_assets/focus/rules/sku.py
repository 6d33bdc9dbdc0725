"""What an id stands for stays the same from row to row."""

from __future__ import annotations

from focus_assets.focus.rules.model import AnyRule, OneValueRule, both, since


def rules() -> tuple[AnyRule, ...]:
    """One SKU per price, one category per service, one unit per commitment, one meter per SKU."""
    return (
        _one("SkuPriceId", "SkuId", "SkuPriceId must have one parent SkuId.", section="SkuPriceId"),
        _one("ServiceName", "ServiceCategory", "ServiceName must have one ServiceCategory."),
        _one(
            "ServiceName", "ServiceSubcategory", "ServiceName should have one ServiceSubcategory.", must=False
        ),
        _one("SkuId", "SkuMeter", "SkuId should keep one SkuMeter.", section="SkuMeter", must=False),
        _one(
            "CommitmentDiscountId",
            "CommitmentDiscountUnit",
            "CommitmentDiscountId must keep one CommitmentDiscountUnit.",
            section="CommitmentDiscountUnit",
        ),
    )


def _one(
    key: str, value: str, sentence: str, *, section: str = "ServiceName", must: bool = True
) -> OneValueRule:
    return OneValueRule(
        id=f"sku.{key}_{value}",
        sentence=sentence,
        section=f"Columns: {section}",
        versions=both(f"{key} {value}", since("1.0")),
        blocking=must,
        key=key,
        value=value,
    )

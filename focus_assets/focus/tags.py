"""Tags: one flat JSON object of a row's event dimensions and what the vendor adds about the customer.

Event dimensions are the user's own scheme and have no prefix; a customer's labels are the vendor's and have
``vendor_tag_prefix`` (FOCUS column Tags: provider-defined keys are prefixed, values are not altered). A
dimension without a value is no tag; an empty text is a value. A dimension's key has no ``/`` and a vendor's
prefix ends in one, so the two never meet and none takes precedence. Without a prefix labels are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import polars as pl

from focus_assets.catalog.models import Customer


def vendor_prefix(configured: str | None) -> str | None:
    """The prefix with its closing ``/``; None where the vendor adds no tags."""
    return f"{configured.rstrip('/')}/" if configured and configured.rstrip("/") else None


def vendor_tags(customer: Customer, prefix: str | None) -> str | None:
    """A customer's labels as JSON members without braces, sorted; None where there are none."""
    if prefix is None or not customer.labels:
        return None
    tags = {prefix + key: value for key, value in customer.labels.items()}
    return json.dumps(tags, sort_keys=True, separators=(",", ":"), ensure_ascii=False)[1:-1]


def tag_members(values: Iterable[tuple[str, pl.Expr]]) -> pl.Expr:
    """The JSON members of dimensions that have a value, in the order given; null where none has."""
    members = [
        pl.when(value.is_not_null()).then(
            pl.struct(value.alias(name)).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
        )
        for name, value in values
    ]
    if not members:
        return pl.lit(None, pl.String)
    joined = pl.concat_str(members, separator=",", ignore_nulls=True)
    return pl.when(joined != "").then(joined)


def tags(before: pl.Expr, vendor: pl.Expr, after: pl.Expr) -> pl.Expr:
    """The whole object with its keys in order; null where it would be empty.

    ``before`` and ``after`` are the members whose keys sort before and after the vendor's prefix.
    """
    members = pl.concat_str([before, vendor, after], separator=",", ignore_nulls=True)
    return pl.when(members != "").then(pl.lit("{") + members + pl.lit("}"))

"""Tags: one flat JSON object of a row's event dimensions, fixed tags, and what the vendor adds about the customer.

Each key is of the first that has it: the export request, the event's dimension, ``tags`` of the customer, of the
meter, of the defaults; null takes away what a farther one states. These are the user's own scheme and have no prefix;
a customer's labels are the vendor's and have ``vendor_tag_prefix`` (FOCUS column Tags: provider-defined keys are
prefixed, values are not altered). A dimension without a value is no tag; an empty text is a value. A dimension's key
has no ``/``, a vendor's prefix ends in one and fixed tags may not begin with it, so labels never meet the others.
Without a prefix labels are left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

import polars as pl

from focus_assets.catalog.key_values import Value, layered, vendor_prefix
from focus_assets.catalog.models import Customer
from focus_assets.catalog.snapshot import FocusDefaults


def vendor_tags(customer: Customer, prefix: str | None) -> str | None:
    """A customer's labels as JSON members without braces, sorted; None where there are none."""
    if prefix is None or not customer.labels:
        return None
    tags = {prefix + key: value for key, value in customer.labels.items()}
    return _text(tags)[1:-1]


def fixed_tags(*layers: Mapping[str, Value]) -> str | None:
    """What layers of fixed tags come to, the nearest last, as a JSON object; None where they come to nothing."""
    found = layered(*layers)
    return _text(found) if found else None


def tags_of_customer(customer: Customer, defaults: FocusDefaults) -> str | None:
    """The whole object of a row that no event and no meter stands behind; None where it would be empty."""
    labels = vendor_tags(customer, vendor_prefix(defaults.vendor_tag_prefix))
    fixed = layered(defaults.tags, customer.tags)
    return _text(fixed | json.loads(f"{{{labels or ''}}}")) if fixed or labels else None


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


def with_fixed_tags(tags: pl.Expr, fixed: pl.Expr) -> pl.Expr:
    """Objects with the keys of other objects that they have not; rows without such are as they were."""
    pair = pl.struct(tags.alias("near"), fixed.alias("far"))
    return pl.when(fixed.is_null()).then(tags).otherwise(_of_distinct(pair, _united))


def with_tags_of_export(tags: pl.Expr, stated: Mapping[str, Value]) -> pl.Expr:
    """Objects with the keys that an export states, without those it states as null; null where nothing is left."""

    def stated_first(row: Mapping[str, str | None]) -> str | None:
        return fixed_tags(json.loads(row["tags"] or "{}"), stated)

    return _of_distinct(pl.struct(tags.alias("tags")), stated_first)


def _united(row: Mapping[str, str | None]) -> str:
    return _text(json.loads(row["far"] or "{}") | json.loads(row["near"] or "{}"))


def _of_distinct(struct: pl.Expr, make: Callable[[Mapping[str, str | None]], str | None]) -> pl.Expr:
    """``make`` of each row, asked once for equal rows of a batch: a day has few combinations and many rows."""

    def of_batch(batch: pl.Series) -> pl.Series:
        rows = batch.struct.unnest()
        distinct = rows.unique()
        made = pl.Series("_made", [make(row) for row in distinct.iter_rows(named=True)], pl.String)
        joined = rows.join(
            distinct.with_columns(made), on=rows.columns, how="left", nulls_equal=True, maintain_order="left"
        )
        return joined.get_column("_made")

    return struct.map_batches(of_batch, return_dtype=pl.String(), is_elementwise=True)


def _text(tags: Mapping[str, Value]) -> str:
    return json.dumps(tags, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

"""The layer before all others: dimensions that an export request decides for its rows.

What belongs here: what an export may say, and showing rows as it wants them. What does not: the layers below
(``dimensions``), which the stored rows already follow, and who is exported to (``delivery``).

A destination's ``dimensions`` are texts or null: events and meters are no longer at hand when rows leave. Stored rows
are never changed by it. An id that the export decides takes its names along, for a name of another id misleads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from focus_assets.catalog.key_values import Value
from focus_assets.focus.dimensions import Answer, InvalidDimension, Layer, Problem, Resolution
from focus_assets.focus.services import SUBCATEGORY_PARENTS, subcategories_of
from focus_assets.focus.settable import SETTABLE, Settable, check_overrides
from focus_assets.focus.tags import with_tags_of_export

Overrides = Mapping[str, str | None]
"""A text, or null, by FOCUS column."""


def require_valid(place: str, overrides: Overrides) -> None:
    """Raise :class:`InvalidDimension` with everything that is wrong with the overrides set at ``place``."""
    problems = tuple(
        Problem(None, column, sentence) for column, sentence in export_problems(place, overrides)
    )
    if problems:
        raise InvalidDimension(problems)


def export_problems(place: str, overrides: Overrides) -> Iterator[tuple[str, str]]:
    """What is wrong with an export's overrides, as (column, sentence with the key path)."""
    alone = list(check_overrides(place, overrides))
    yield from alone
    if alone:
        return
    category, sub = overrides.get("ServiceCategory"), overrides.get("ServiceSubcategory")
    if sub is not None:
        parent = SUBCATEGORY_PARENTS[sub]
        belongs = f"{place}.ServiceSubcategory: {sub!r} belongs to ServiceCategory {parent!r}"
        if category is None:
            also = f"set {place}.ServiceCategory to it too, because rows of other categories cannot have it"
            yield "ServiceSubcategory", f"{belongs}; {also}"
        elif parent != category:
            others = ", ".join(subcategories_of(category))
            yield (
                "ServiceSubcategory",
                f"{belongs}, but ServiceCategory there is {category!r}, which has {others}",
            )
    for column, settable in SETTABLE.items():
        named = settable.describes
        if named is None or not settable.wanted_with_id or overrides.get(named) is None:
            continue
        if column in overrides and overrides[column] is None:
            yield column, f"{place}.{column}: null is no answer where {place}.{named} is a text; write a text"
        elif column not in overrides and settable.follows is None:
            yield (
                column,
                f"{place}.{named} needs {column} beside it: FOCUS wants it wherever the id has a value",
            )


def decided(overrides: Overrides) -> dict[str, str | None]:
    """The overrides with what follows from them: names of ids, null without an id, the category's ``Other``."""
    found = dict(overrides)
    category = found.get("ServiceCategory")
    if category is not None and "ServiceSubcategory" not in found:
        found["ServiceSubcategory"] = subcategories_of(category)[-1]
    for column, settable in SETTABLE.items():
        if settable.describes is not None and settable.describes in found:
            key = found[settable.describes]
            if key is None:
                found[column] = None
            elif column not in found:
                found[column] = key if settable.follows == settable.describes else None
    return dict(sorted(found.items()))


def as_exported(
    rows: pl.LazyFrame, overrides: Overrides, tags: Mapping[str, Value] = MappingProxyType({})
) -> pl.LazyFrame:
    """Stored FOCUS rows, any columns, with what an export decides of columns and tags; rows and order are untouched.

    A column that says something about another, as SkuMeter about SkuId, stays null where that one is; and what is null
    on a tax stays so, because a tax is of no region, resource, SKU or host.
    """
    found = decided(overrides)
    shown = [_shown(SETTABLE[column], value, found) for column, value in found.items()]
    if tags:
        here = pl.col("ChargeCategory").ne_missing("Tax") | pl.col("Tags").is_not_null()
        shown.append(pl.when(here).then(with_tags_of_export(pl.col("Tags"), tags)).alias("Tags"))
    return rows.with_columns(shown)


def with_export(resolution: Resolution, place: str, overrides: Overrides) -> Resolution:
    """What decides each column of each meter for one export, set at ``place``; tags are ``made_columns``'."""
    found = decided(overrides)

    def first(answer: Answer) -> Answer:
        column = answer.column
        if column not in found:
            return answer
        return Answer(
            meter=answer.meter,
            column=column,
            layer=Layer.EXPORT if column in overrides else Layer.DERIVED,
            set_at=f"{place}.{column}" if column in overrides else f"not set; follows {place}",
            text=found[column],
            is_null=found[column] is None,
        )

    customers = {
        key: {column: value for column, value in values.items() if column not in found}
        for key, values in resolution.customers.items()
    }
    return replace(
        resolution,
        answers={key: first(answer) for key, answer in resolution.answers.items()},
        fees={
            fee: {column: first(answer) for column, answer in answers.items()}
            for fee, answers in resolution.fees.items()
        },
        customers={key: values for key, values in customers.items() if values},
    )


def _shown(settable: Settable, value: str | None, found: Overrides) -> pl.Expr:
    column = pl.col(settable.column)
    if value is None:
        return pl.lit(None, pl.String).alias(settable.column)
    here = pl.col("ChargeCategory").ne_missing("Tax") | column.is_not_null()
    about = "SkuId" if settable.column == "SkuMeter" else settable.describes
    if about is not None and about not in found:
        here = here & pl.col(about).is_not_null()
    return pl.when(here).then(pl.lit(value)).otherwise(column).alias(settable.column)

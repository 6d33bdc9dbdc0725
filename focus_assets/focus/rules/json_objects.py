"""JSON that may nest: objects, the elements of ContractApplied, and keys that occur once.

What belongs here: rules that parse JSON in Python, value by value. What does not: flat objects, which an
expression decides (``key_values``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, OWN_PREFIX, FocusColumn, Format, columns
from focus_assets.focus.rules.model import AnyRule, Reads, RowRule

# One string of JSON after the other, each with the colon that makes it a key.
_STRINGS: Final = r'"(?:[^"\\]|\\.)*"\s*:?'

_METRICS: Final = ("Cost", "Quantity", "Unit")
_ELEMENT_KEYS: Final = frozenset(
    {"ContractId", "ContractCommitmentId", *(f"ContractCommitmentApplied{metric}" for metric in _METRICS)}
)
"""The keys of an element of ContractApplied that FOCUS defines (errata of FOCUS 1.3: five, so written)."""


def rules() -> tuple[AnyRule, ...]:
    """No key twice in a flat object; objects where objects are asked for; the elements of ContractApplied."""
    return (*objects(COST_AND_USAGE), _contract_applied(), _one_metric(), _purchased())


def objects(dataset: str) -> tuple[AnyRule, ...]:
    """Keys once and objects throughout, in the JSON columns of a dataset."""
    flat = [entry for entry in columns(dataset=dataset) if entry.format is Format.KEY_VALUE]
    nested = [entry for entry in columns(dataset=dataset) if entry.format is Format.JSON_OBJECT]
    return (*map(_keys_once, flat), *map(_object, nested))


def _keys_once(entry: FocusColumn) -> RowRule:
    keys = pl.col(entry.id).str.extract_all(_STRINGS).list.filter(pl.element().str.ends_with(":"))
    return RowRule(
        id=f"key_values.{entry.id}_twice",
        sentence=f"{entry.id} must not have a key twice: readers keep one value or the other.",
        section="Attributes: Key-Value Format",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.TEXT},
        violation=(keys.list.n_unique() < keys.list.len()).fill_null(False),
        by_value=True,
    )


def _object(entry: FocusColumn) -> RowRule:
    return RowRule(
        id=f"key_values.{entry.id}_object",
        sentence=f"{entry.id} must be one JSON object.",
        section="Attributes: JSON Object Format",
        versions=tuple(entry.levels),
        reads={entry.id: Reads.TEXT},
        violation=where_json(entry.id, lambda value: not isinstance(value, dict)),
        by_value=True,
    )


def _contract_applied() -> RowRule:
    return RowRule(
        id="key_values.ContractApplied_elements",
        sentence=(
            "ContractApplied must hold Elements, each with ContractId, ContractCommitmentId and, as a number, "
            "ContractCommitmentAppliedCost or ContractCommitmentAppliedQuantity with its unit; other keys begin with "
            "x_ and do not nest."
        ),
        section="Columns: ContractApplied",
        versions=("1.3", "1.4"),
        reads={"ContractApplied": Reads.TEXT},
        violation=where_json(
            "ContractApplied", lambda value: isinstance(value, dict) and not _elements_are_right(value)
        ),
        by_value=True,
    )


def _one_metric() -> RowRule:
    def is_wrong(value: Any) -> bool:
        elements = value.get("Elements") if isinstance(value, dict) else None
        return isinstance(elements, list) and any(
            isinstance(element, dict)
            and all(
                element.get(f"ContractCommitmentApplied{metric}") is not None
                for metric in ("Cost", "Quantity")
            )
            for element in elements
        )

    return RowRule(
        id="key_values.ContractApplied_one_metric",
        sentence=(
            "ContractApplied must not hold an element with both ContractCommitmentAppliedCost and "
            "ContractCommitmentAppliedQuantity."
        ),
        section="Columns: ContractApplied",
        versions=("1.4",),
        reads={"ContractApplied": Reads.TEXT},
        violation=where_json("ContractApplied", is_wrong),
        by_value=True,
    )


def _purchased() -> RowRule:
    names = pl.concat_str(pl.lit('"'), pl.col("ResourceId"), pl.lit('"'))
    among = pl.col("ContractApplied").str.contains(names, literal=True)
    return RowRule(
        id="key_values.ContractApplied_purchase",
        sentence=(
            "ContractApplied must name the ResourceId as a ContractCommitmentId when ChargeCategory is Purchase."
        ),
        section="Columns: ContractApplied",
        versions=("1.3",),
        reads={"ContractApplied": Reads.TEXT, "ChargeCategory": Reads.TEXT, "ResourceId": Reads.TEXT},
        violation=(
            (pl.col("ChargeCategory") == "Purchase")
            & pl.col("ContractApplied").is_not_null()
            & ~among.fill_null(False)
        ).fill_null(False),
    )


def _elements_are_right(value: dict[str, Any]) -> bool:
    elements = value.get("Elements")
    return isinstance(elements, list) and bool(elements) and all(map(_element_is_right, elements))


def _element_is_right(element: Any) -> bool:
    if not isinstance(element, dict):
        return False
    own = {key: inner for key, inner in element.items() if key not in _ELEMENT_KEYS}
    if any(not key.startswith(OWN_PREFIX) or isinstance(inner, dict | list) for key, inner in own.items()):
        return False
    if not all(isinstance(element.get(key), str) for key in ("ContractId", "ContractCommitmentId")):
        return False
    cost, quantity, unit = (element.get(f"ContractCommitmentApplied{metric}") for metric in _METRICS)
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in (cost, quantity)
        if value is not None
    )
    return (
        numbers
        and (cost is not None or quantity is not None)
        and (quantity is None) == (unit is None)
        and (unit is None or isinstance(unit, str))
    )


def where_json(name: str, wrong: Callable[[Any], bool]) -> pl.Expr:
    """Whether the parsed value of a column is wrong; what is no JSON is handed over as None, null is never wrong."""

    def is_wrong(text: str) -> bool:
        try:
            return wrong(json.loads(text))
        except ValueError:
            return wrong(None)

    return pl.col(name).map_elements(is_wrong, return_dtype=pl.Boolean, skip_nulls=True).fill_null(False)

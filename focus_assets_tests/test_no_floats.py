"""No binary float carries a quantity or money anywhere in the package.

The sources are read, not run: a float type of a column, a conversion to float, or a float literal where
quantities and money are computed is found before any data is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import focus_assets
from focus_assets.billing.datasets import BILLING_DATASETS
from focus_assets.datasets import USAGE_DATASETS
from focus_assets.rating import LIMITS, OPENINGS, RATED_LINES, SEGMENTS, SLICES, USAGE
from focus_assets.rating.detailed_lines import CREDITS, DETAILED_LINES, LINES, TIERS

PACKAGE = Path(focus_assets.__file__).parent
COMPUTING = ("catalog", "cloudevents", "usage", "rating", "focus", "decimals.py", "datasets.py")
"""Where quantities and money are computed: no float literal either."""

SHOWING = ("orchestration",)
"""Where finished figures are shown: Dagster plots floats only, and nothing is computed from what it shows."""

FLOAT_TYPES = {"Float16", "Float32", "Float64", "float16", "float32", "float64"}
RANGE_ONLY = "decides whether a product fits before it is multiplied exactly; no cost comes of it"
COMPARED_ONLY = "says which rows need no exact multiplication, or whose floats are near enough"
FOREIGN = "somebody else's file is read and reported on; nothing is computed from it"
STATED = "the value of a fixed tag or property, as a JSON number; neither a quantity nor money"
ALLOWED = {
    ("catalog/key_values.py", "float(value)"): STATED,
    ("catalog/key_values.py", "float('inf')"): STATED,
    ("catalog/key_values.py", "float('-inf')"): STATED,
    ("catalog/periods.py", "30.436875"): "a guess at which period holds an instant; exact steps follow it",
    ("focus/rules/products.py", "1e+16"): RANGE_ONLY,
    ("focus/rules/products.py", "100000000000000.0"): RANGE_ONLY,
    ("focus/rules/products.py", "1e+19"): RANGE_ONLY,
    ("focus/rules/products.py", "1e-09"): COMPARED_ONLY,
    ("focus/rules/products.py", "1e-12"): COMPARED_ONLY,
    ("focus/rules/products.py", "1e-14"): COMPARED_ONLY,
    ("focus/rules/products.py", "0.499"): COMPARED_ONLY,
    ("focus/rules/products.py", "10.0"): COMPARED_ONLY,
    ("focus/rules/products.py", "pl.Float64"): COMPARED_ONLY,
    ("focus/files/typed.py", "pl.Float64"): FOREIGN,
    ("focus/files/table.py", "pl.Float64"): FOREIGN,
    ("sql/views.py", "pl.Float64"): "the name of a type, not a value; no dataset has a column of it",
}
"""(file, text) → why this one carries neither quantity nor money."""


def floats_in(source: str, *, literals: bool = True, conversions: bool = True) -> Iterator[tuple[int, str]]:
    """Line and text of every float type and, if asked for, of conversions to float and float literals."""
    for node in ast.walk(ast.parse(source)):
        is_type = isinstance(node, ast.Attribute) and node.attr in FLOAT_TYPES
        is_conversion = isinstance(node, ast.Call) and _converts_to_float(node)
        is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        if is_type or (conversions and is_conversion) or (literals and is_literal):
            yield node.lineno, ast.unparse(node)  # type: ignore[attr-defined]


def _converts_to_float(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id == "float"
    casts = isinstance(call.func, ast.Attribute) and call.func.attr in {"cast", "lit", "map_elements"}
    named = [node.id for node in ast.walk(call) if isinstance(node, ast.Name)]
    return casts and "float" in named


def modules() -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", modules())
def test_no_module_makes_floats_of_quantities_or_money(module: str) -> None:
    place = module.split("/")[0]
    source = (PACKAGE / module).read_text(encoding="utf-8")
    found = [
        f"{module}:{line}: {text}"
        for line, text in floats_in(source, literals=place in COMPUTING, conversions=place not in SHOWING)
        if (module, text) not in ALLOWED
    ]
    assert not found, "use the decimal types of focus_assets.decimals:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source", ["float(x)", "pl.Float64", "pl.col('a').cast(pl.Float32)", "pl.col('a').cast(float)", "x * 0.1"]
)
def test_the_search_finds_each_way_to_write_a_float(source: str) -> None:
    assert list(floats_in(source))


def test_an_exception_that_no_longer_exists_is_struck_off_the_list() -> None:
    for module in {module for module, _ in ALLOWED}:
        found = {text for _, text in floats_in((PACKAGE / module).read_text(encoding="utf-8"))}
        assert {text for of, text in ALLOWED if of == module} <= found, (
            f"strike off what {module} no longer has"
        )


@pytest.mark.parametrize(
    "schema",
    [
        *(dataset.schema for dataset in (*USAGE_DATASETS, *BILLING_DATASETS)),
        USAGE,
        OPENINGS,
        SLICES,
        SEGMENTS,
        LIMITS,
        RATED_LINES,
        LINES,
        TIERS,
        CREDITS,
        DETAILED_LINES,
    ],
    ids=lambda schema: ",".join(list(schema)[:3]),
)
def test_no_table_of_the_usage_chain_has_a_float_column(schema: pl.Schema) -> None:
    assert not [name for name, dtype in schema.items() if dtype.is_float()]

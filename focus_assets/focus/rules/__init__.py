"""FOCUS rules and how they are checked.

``rules_for(version)`` is what a file of that version must satisfy; ``check(frame, rules)`` says whether it
does. A further rule belongs into the module of its subject; a further subject is a module and one entry of
``_SUBJECTS``.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from focus_assets.focus.columns import COST_AND_USAGE, VERSIONS, UnknownColumnError, versions_of
from focus_assets.focus.rules import (
    charges,
    costs,
    currencies,
    formats,
    invoices,
    json_objects,
    key_values,
    nullability,
    object_schemas,
    other_datasets,
    periods,
    presence,
    sku,
    unit_names,
    values,
)
from focus_assets.focus.rules.check import EXAMPLES, ROW_NUMBER, check, check_parts
from focus_assets.focus.rules.model import (
    AnyRule,
    NoDuplicatesRule,
    OneValueRule,
    Reads,
    RowRule,
    Rule,
    SchemaRule,
    TotalsRule,
)
from focus_assets.focus.rules.report import CheckReport, RuleResult

__all__ = [
    "EXAMPLES",
    "ROW_NUMBER",
    "AnyRule",
    "CheckReport",
    "NoDuplicatesRule",
    "OneValueRule",
    "Reads",
    "RowRule",
    "Rule",
    "RuleResult",
    "SchemaRule",
    "TotalsRule",
    "all_rules",
    "check",
    "check_parts",
    "rules_for",
]

_SUBJECTS: Final = (
    presence,
    nullability,
    values,
    formats,
    costs,
    currencies,
    periods,
    charges,
    invoices,
    sku,
    key_values,
    json_objects,
    object_schemas,
    unit_names,
)


@cache
def all_rules(dataset: str = COST_AND_USAGE) -> tuple[AnyRule, ...]:
    """Every rule of a dataset in any version, by subject. One that no version has any more is not among them."""
    if dataset == COST_AND_USAGE:
        found = [rule for subject in _SUBJECTS for rule in subject.rules()]
    else:
        found = list(other_datasets.rules(dataset))
    return tuple(rule for rule in found if rule.versions)


@cache
def rules_for(version: str, dataset: str = COST_AND_USAGE) -> tuple[AnyRule, ...]:
    """The rules that hold for a dataset of one FOCUS version.

    Raises:
        UnknownColumnError: no such version or dataset, or the version does not have the dataset.
    """
    if version not in VERSIONS:
        raise UnknownColumnError(
            f"{version!r} is no FOCUS version this project knows: {', '.join(VERSIONS)}."
        )
    if version not in versions_of(dataset):
        raise UnknownColumnError(
            f"FOCUS {version} has no dataset {dataset}; it is in {', '.join(versions_of(dataset))}."
        )
    return tuple(rule for rule in all_rules(dataset) if version in rule.versions)

"""Objects of which FOCUS publishes a JSON schema: how costs were split, programs on offer, what a commitment covers.

What belongs here: those schemas, written as code. What does not: ContractApplied (``json_objects``) and whether a value
is an object at all.
Source: FOCUS 1.4, schemas of the Allocated Method Details, Commitment Program Eligibility Details and Contract
Commitment Applicability objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from focus_assets.focus.rules.json_objects import where_json
from focus_assets.focus.rules.model import Reads, RowRule

_OWN_KEY: Final = re.compile(r"x_[A-Z][a-zA-Z0-9]*")
_OPERATORS: Final = frozenset(
    {
        "In",
        "NotIn",
        "StartsWith",
        "NotStartsWith",
        "Contains",
        "NotContains",
        "EndsWith",
        "Exists",
        "DoesNotExist",
    }
)
_EXISTENCE: Final = frozenset({"Exists", "DoesNotExist"})
_WITH_WILDCARD: Final = frozenset({"In", "Contains"}) | _EXISTENCE


def rules() -> tuple[RowRule, ...]:
    """Those of Cost and Usage."""
    return (
        _rule(
            "AllocatedMethodDetails",
            "AllocatedMethodDetails must hold Elements, each with an AllocatedRatio from 0 to 1, and a UsageUnit where "
            "it has a UsageQuantity.",
            _allocation_is_right,
        ),
        _rule(
            "CommitmentProgramEligibilityDetails",
            "CommitmentProgramEligibilityDetails must hold CommitmentPrograms, each with a ProgramType.",
            _programs_are_right,
        ),
    )


def applicability() -> RowRule:
    """That of Contract Commitment."""
    return _rule(
        "ContractCommitmentApplicability",
        "ContractCommitmentApplicability must say IsGlobalScope, IsComplexScope, or InclusionOperator with Inclusions "
        "(Dimension, Operator and Values).",
        _scope_is_right,
    )


def _rule(name: str, sentence: str, is_right: Callable[[dict[str, Any]], bool]) -> RowRule:
    return RowRule(
        id=f"key_values.{name}_schema",
        sentence=sentence,
        section=f"Columns: {name}",
        versions=("1.4",),
        reads={name: Reads.TEXT},
        violation=where_json(name, lambda value: isinstance(value, dict) and not is_right(value)),
        by_value=True,
    )


def _allocation_is_right(value: dict[str, Any]) -> bool:
    return _has_only(value, {"Elements"}) and _all_of(value.get("Elements"), _share_is_right)


def _share_is_right(element: dict[str, Any]) -> bool:
    quantity, unit = element.get("UsageQuantity"), element.get("UsageUnit")
    return (
        _has_only(element, {"AllocatedRatio", "UsageUnit", "UsageQuantity"})
        and _is_share(element.get("AllocatedRatio"))
        and (unit is None or isinstance(unit, str))
        and (quantity is None or (_is_number(quantity) and isinstance(unit, str)))
    )


def _programs_are_right(value: dict[str, Any]) -> bool:
    return _has_only(value, {"CommitmentPrograms"}) and _all_of(
        value.get("CommitmentPrograms"),
        lambda program: _has_only(program, {"ProgramType"}) and isinstance(program.get("ProgramType"), str),
    )


def _scope_is_right(value: dict[str, Any]) -> bool:
    whole, complex_ = value.get("IsGlobalScope", False), value.get("IsComplexScope", False)
    if not _has_only(
        value,
        {
            "IsGlobalScope",
            "IsComplexScope",
            "Applicability",
            "InclusionOperator",
            "Inclusions",
            "ExclusionOperator",
            "Exclusions",
        },
    ):
        return False
    if not isinstance(whole, bool) or not isinstance(complex_, bool) or (whole and complex_):
        return False
    if "Exclusions" in value and not (
        value.get("ExclusionOperator") in ("And", "Or") and _all_of(value["Exclusions"], _condition_is_right)
    ):
        return False
    if not _fraction_is_right(value.get("Applicability", {})):
        return False
    if whole or complex_:
        return value.get("Inclusions", []) == [] and "InclusionOperator" not in value
    return value.get("InclusionOperator") in ("And", "Or") and _all_of(
        value.get("Inclusions"), _condition_is_right
    )


def _condition_is_right(condition: dict[str, Any]) -> bool:
    operator, values = condition.get("Operator"), condition.get("Values")
    if not _has_only(condition, {"Dimension", "Operator", "Values", "Applicability"}):
        return False
    if not isinstance(condition.get("Dimension"), str) or operator not in _OPERATORS:
        return False
    if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in values):
        return False
    if ("*" in values and (len(values) > 1 or operator not in _WITH_WILDCARD)) or (
        operator in _EXISTENCE and values != ["*"]
    ):
        return False
    return _fraction_is_right(condition.get("Applicability", {}))


def _fraction_is_right(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"Cost", "Usage"}
        and all(_is_share(share) for share in value.values())
    )


def _all_of(elements: Any, is_right: Callable[[dict[str, Any]], bool]) -> bool:
    """A list of one object at least, each of them right."""
    return (
        isinstance(elements, list)
        and bool(elements)
        and all(isinstance(element, dict) and is_right(element) for element in elements)
    )


def _has_only(value: dict[str, Any], known: Collection[str]) -> bool:
    return all(key in known or _OWN_KEY.fullmatch(key) for key in value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

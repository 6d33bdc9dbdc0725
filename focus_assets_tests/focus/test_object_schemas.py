"""Objects of which FOCUS publishes a schema: what it allows is clean, what it does not is one violation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from focus_assets.focus.columns import CONTRACT_COMMITMENT
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets_tests.focus.other_samples import clean_rows
from focus_assets_tests.focus.sample import clean

ONE = {"Dimension": "ServiceName", "Operator": "In", "Values": ["Model API"]}
ALL_OF_IT = {"Dimension": "SkuId", "Operator": "Exists", "Values": ["*"]}


def scope(**changes: Any) -> dict[str, Any]:
    return {"InclusionOperator": "And", "Inclusions": [ONE]} | changes


def violated_by_scope(value: object) -> set[str]:
    rows = clean_rows(CONTRACT_COMMITMENT, ContractCommitmentApplicability=json.dumps(value))
    report = check(rows, rules_for("1.4", CONTRACT_COMMITMENT))
    return {result.rule.id for result in report.violated}


@pytest.mark.parametrize(
    "value",
    [
        {"IsGlobalScope": True},
        {"IsComplexScope": True, "x_Note": "by contract"},
        {"IsGlobalScope": True, "Inclusions": []},
        {"IsGlobalScope": True, "ExclusionOperator": "Or", "Exclusions": [ONE]},
        scope(),
        scope(IsGlobalScope=False, Inclusions=[ONE, ALL_OF_IT], Applicability={"Cost": 0.5}),
        scope(Inclusions=[ONE | {"Applicability": {"Usage": 1}}]),
    ],
)
def test_a_scope_that_the_schema_allows_is_clean(value: dict[str, Any]) -> None:
    assert violated_by_scope(value) == set()


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"IsGlobalScope": True, "IsComplexScope": True},
        {"IsGlobalScope": True, "Inclusions": [ONE]},
        {"IsGlobalScope": "yes"},
        {"Inclusions": [ONE]},
        scope(Inclusions=[]),
        scope(InclusionOperator="and"),
        scope(Exclusions=[ONE]),
        scope(ExclusionOperator="Or", Exclusions=[]),
        scope(Services=["Model API"]),
        scope(x_lower="case"),
        scope(Applicability={"Cost": 1.5}),
        scope(Applicability={"Cost": True}),
        scope(Inclusions=[ONE | {"Operator": "Is"}]),
        scope(Inclusions=[ONE | {"Values": []}]),
        scope(Inclusions=[ONE | {"Values": [1]}]),
        scope(Inclusions=[ONE | {"Values": ["*", "Model API"]}]),
        scope(Inclusions=[ONE | {"Values": ["*"], "Operator": "NotIn"}]),
        scope(Inclusions=[ALL_OF_IT | {"Values": ["tokens"]}]),
        scope(Inclusions=[ONE | {"Unknown": 1}]),
        scope(Inclusions=["ServiceName"]),
        scope(Inclusions=[ONE | {"Dimension": None}]),
    ],
)
def test_a_scope_that_the_schema_does_not_allow_is_found(value: dict[str, Any]) -> None:
    assert violated_by_scope(value) == {"key_values.ContractCommitmentApplicability_schema"}


def violated(**values: Any) -> set[str]:
    rows = project(clean(**{"tier_1": values}), "1.4")
    return {result.rule.id for result in check(rows, rules_for("1.4")).violated}


@pytest.mark.parametrize(
    ("element", "is_right"),
    [
        ({"AllocatedRatio": 0.25}, True),
        ({"AllocatedRatio": 1, "UsageUnit": "Tokens", "UsageQuantity": 5, "x_Pool": "a"}, True),
        ({"AllocatedRatio": 0, "UsageUnit": "Tokens", "UsageQuantity": None}, True),
        ({"AllocatedRatio": 1.1}, False),
        ({"AllocatedRatio": "0.5"}, False),
        ({"UsageUnit": "Tokens"}, False),
        ({"AllocatedRatio": 0.5, "UsageQuantity": 5}, False),
        ({"AllocatedRatio": 0.5, "Method": "even"}, False),
    ],
)
def test_how_a_cost_was_split_says_a_share_for_each_element(element: dict[str, Any], is_right: bool) -> None:
    found = violated(AllocatedMethodId="even", AllocatedMethodDetails=json.dumps({"Elements": [element]}))
    assert found == (set() if is_right else {"key_values.AllocatedMethodDetails_schema"})


@pytest.mark.parametrize(
    ("value", "is_right"),
    [
        ({"CommitmentPrograms": [{"ProgramType": "discount", "x_Note": "a"}]}, True),
        ({"CommitmentPrograms": []}, False),
        ({"CommitmentPrograms": [{"ProgramType": 1}]}, False),
        ({"Programs": []}, False),
    ],
)
def test_programs_on_offer_say_their_type(value: dict[str, Any], is_right: bool) -> None:
    found = violated(CommitmentProgramEligibilityDetails=json.dumps(value))
    assert found == (set() if is_right else {"key_values.CommitmentProgramEligibilityDetails_schema"})

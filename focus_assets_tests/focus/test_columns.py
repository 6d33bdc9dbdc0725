"""The registry against the figures that the FOCUS specification states about itself."""

from __future__ import annotations

import polars as pl
import pytest

from focus_assets.focus.columns import (
    VERSIONS,
    Level,
    UnknownColumnError,
    ValueType,
    column,
    columns,
    own_columns,
)
from focus_assets.focus.services import SERVICE_CATEGORIES, SUBCATEGORY_PARENTS, subcategories_of


@pytest.mark.parametrize(
    ("version", "mandatory", "conditional", "recommended"),
    [("1.0", 21, 20, 2), ("1.1", 21, 26, 3), ("1.2", 21, 32, 4), ("1.3", 23, 37, 5), ("1.4", 21, 40, 4)],
)
def test_each_version_has_as_many_columns_of_each_level_as_the_specification_counts(
    version: str, mandatory: int, conditional: int, recommended: int
) -> None:
    levels = [entry.levels[version] for entry in columns(version)]
    assert (
        levels.count(Level.MANDATORY),
        levels.count(Level.CONDITIONAL),
        levels.count(Level.RECOMMENDED),
    ) == (
        mandatory,
        conditional,
        recommended,
    )


def test_columns_come_in_alphabetical_order() -> None:
    for version in (None, *VERSIONS):
        ids = [entry.id for entry in columns(version)]
        assert ids == sorted(ids)


def test_what_a_version_adds_and_removes_is_known() -> None:
    ids = {version: {entry.id for entry in columns(version)} for version in VERSIONS}
    assert ids["1.3"] - ids["1.4"] == {"ProviderName", "PublisherName"}
    assert ids["1.4"] - ids["1.3"] == {"CommitmentProgramEligibilityDetails", "InvoiceDetailId"}
    assert len(ids["1.3"] - ids["1.2"]) == 8
    assert not ids["1.2"] - ids["1.3"]


def test_a_removed_column_says_since_when() -> None:
    provider = column("ProviderName")
    assert (provider.deprecated, provider.removed) == ("1.3", "1.4")
    assert not provider.in_version("1.4")


def test_introduced_agrees_with_the_first_version_that_has_the_column() -> None:
    for entry in columns():
        first = next(version for version in VERSIONS if entry.in_version(version))
        assert entry.introduced == first or (entry.introduced is not None and first == "1.0")


def test_pricing_currency_is_never_null_because_the_text_outranks_the_table() -> None:
    for id_ in ("PricingCurrency", "PricingCurrencyEffectiveCost"):
        assert not any(column(id_).allows_nulls(version) for version in VERSIONS)


def test_numbers_have_the_scales_that_money_and_quantities_are_computed_in() -> None:
    scales = {entry.id: entry.scale for entry in columns() if entry.type is ValueType.DECIMAL}
    assert scales["BilledCost"] == 18
    assert scales["ListUnitPrice"] == 12
    assert scales["PricingQuantity"] == 16
    assert scales["ConsumedQuantity"] == 9
    assert all(entry.precision == 38 for entry in columns() if entry.type is ValueType.DECIMAL)


def test_instants_are_utc_and_json_is_text() -> None:
    assert column("ChargePeriodStart").dtype == pl.Datetime("us", "UTC")
    assert column("Tags").dtype == pl.String


def test_every_column_is_defined_in_one_sentence_and_own_columns_are_marked() -> None:
    for entry in (*columns(), *own_columns()):
        assert entry.definition.endswith(".")
        assert entry.own == entry.id.startswith("x_")


def test_an_unknown_column_or_version_is_named_with_what_is_known() -> None:
    with pytest.raises(UnknownColumnError, match="BilledCosts"):
        column("BilledCosts")
    with pytest.raises(UnknownColumnError, match=r"1\.5.*1\.4"):
        columns("1.5")


def test_services_are_the_closed_lists_of_19_and_82() -> None:
    assert len(SERVICE_CATEGORIES) == 19
    assert len(SUBCATEGORY_PARENTS) == 82
    assert SUBCATEGORY_PARENTS["Generative AI"] == "AI and Machine Learning"
    assert subcategories_of("Mobile") == ("Other (Mobile)",)
    assert sum(len(subcategories_of(category)) for category in SERVICE_CATEGORIES) == 82

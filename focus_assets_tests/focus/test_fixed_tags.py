"""Fixed tags and stated properties of SKU prices: which layer has the word, and what rows say then."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from focus_assets.catalog.snapshot import Catalog, CatalogProblem
from focus_assets.focus.cost_and_usage import build
from focus_assets.focus.dimensions import InvalidDimension, resolve
from focus_assets.focus.export_dimensions import as_exported
from focus_assets.focus.made_columns import TagsOfExport, with_made_columns
from focus_assets.focus.price_list import price_list
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets.focus.tags import tags_of_customer
from focus_assets_tests.focus.sample import clean
from focus_assets_tests.focus.vendor import (
    CATALOG,
    DEFAULTS,
    SEATS,
    TOKENS,
    UNIT,
    catalog,
    fee,
    line,
    rated,
    slices,
)

BY_TEAM = TOKENS | {"tag_dimensions": ["team"]}


def tagged(
    defaults: dict[str, Any] | None = None,
    meter: dict[str, Any] | None = None,
    customer: dict[str, Any] | None = None,
) -> Catalog:
    """The sample vendor, whose tokens are tagged by team, with the fixed tags of each layer."""
    globex, initech = CATALOG["customers"]
    return catalog(
        defaults=DEFAULTS | {"tags": defaults or {}},
        meters=[BY_TEAM | {"tags": meter or {}}, SEATS],
        customers=[globex | {"tags": customer or {}}, initech],
    )


def rows_of(vendor: Catalog, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    return build(rated(*lines), slices(vendor), vendor).collect().to_dicts()


def tags_of(vendor: Catalog, one: dict[str, Any]) -> Any:
    (made,) = rows_of(vendor, one)
    return made["Tags"]


@pytest.mark.parametrize(
    ("team", "layers", "expected"),
    [
        ("red", {"customer": {"team": "c"}, "meter": {"team": "m"}, "defaults": {"team": "d"}}, "red"),
        ("", {"customer": {"team": "c"}}, ""),
        (None, {"customer": {"team": "c"}, "meter": {"team": "m"}, "defaults": {"team": "d"}}, "c"),
        (None, {"meter": {"team": "m"}, "defaults": {"team": "d"}}, "m"),
        (None, {"defaults": {"team": "d"}}, "d"),
        (None, {"meter": {"team": None}, "defaults": {"team": "d"}}, None),
        ("red", {"customer": {"team": None}}, "red"),
    ],
)
def test_event_stands_before_customer_before_meter_before_default_key_by_key(
    team: str | None, layers: dict[str, dict[str, Any]], expected: str | None
) -> None:
    made = json.loads(tags_of(tagged(**layers), line(dimensions={"team": team})))
    assert made.pop("acme/tier") == "gold"
    assert made == ({} if expected is None else {"team": expected})


def test_all_layers_together_are_one_flat_object_with_its_keys_in_order() -> None:
    vendor = tagged(
        defaults={"zone": "z", "Env": "prod", "ratio": 1.5, "level": 3},
        meter={"billable": True, "level": 4},
        customer={"cost center": "Ä/7"},
    )
    assert tags_of(vendor, line(dimensions={"team": "red"})) == (
        '{"Env":"prod","acme/tier":"gold","billable":true,"cost center":"Ä/7","level":4,"ratio":1.5,'
        '"team":"red","zone":"z"}'
    )


def test_fees_and_rows_of_other_customers_and_meters_have_the_tags_of_their_own_layers() -> None:
    vendor = tagged(defaults={"env": "prod"}, meter={"kind": "tokens"}, customer={"unit": "7"})
    tier_fee, seats = rows_of(vendor, fee(), line("2", "4", charge=UNIT, tier=None, subject="initech"))
    assert json.loads(tier_fee["Tags"]) == {
        "acme/tier": "gold",
        "env": "prod",
        "kind": "tokens",
        "unit": "7",
    }
    assert json.loads(seats["Tags"]) == {"env": "prod"}


def test_a_row_that_no_meter_stands_behind_has_the_tags_of_customer_and_defaults() -> None:
    vendor = tagged(defaults={"env": "prod", "n": 1}, meter={"kind": "tokens"}, customer={"n": None, "z": 2})
    globex, initech = vendor.customers
    assert tags_of_customer(globex, vendor.defaults) == '{"acme/tier":"gold","env":"prod","z":2}'
    assert tags_of_customer(initech, vendor.defaults) == '{"env":"prod","n":1}'
    assert tags_of_customer(initech, tagged().defaults) is None


def test_a_fixed_tag_that_equals_an_events_own_leaves_no_two_equal_rows() -> None:
    """Events without team and those of team red say the same then: 1 + 2 tokens at 0.02 are 0.06."""
    all_are_tags = catalog(defaults=DEFAULTS | {"tags": {"team": "red"}})
    (made,) = rows_of(all_are_tags, line("1"), line("2", dimensions={"team": "red"}))
    assert (made["ConsumedQuantity"], float(made["BilledCost"])) == (3, 0.06)


def test_a_catalog_without_fixed_tags_is_written_as_before_there_were_any() -> None:
    documents = catalog().to_frame().collect()["document"].to_list()
    assert not any('"tags"' in each or "sku_price_details" in each for each in documents)
    back = Catalog.from_frame(tagged(defaults={"n": 1.5, "b": False, "i": 2, "t": "2"}).to_frame())
    assert back.defaults.tags == {"n": 1.5, "b": False, "i": 2, "t": "2"}
    assert [type(value) for value in back.defaults.tags.values()] == [bool, int, float, str]


@pytest.mark.parametrize("layer", ["defaults", "meter", "customer"])
def test_a_fixed_tag_may_not_begin_as_the_vendors_do(layer: str) -> None:
    place = {"defaults": "defaults.tags", "meter": "meters[0].tags", "customer": "customers[0].tags"}[layer]
    with pytest.raises(CatalogProblem) as caught:
        tagged(**{layer: {"acme/tier": "silver"}}).check_references()
    assert f"{place}: found the key 'acme/tier', which begins with" in str(caught.value)
    tagged(**{layer: {"acmes": "silver"}}).check_references()


def test_an_export_states_and_takes_away_tags_key_by_key() -> None:
    vendor = tagged(defaults={"env": "prod", "x": "y"})
    built = build(rated(line(dimensions={"team": "red"})), slices(vendor), vendor)
    stated = {"env": "test", "acme/tier": None, "team": None, "for": True}
    (text,) = as_exported(built, {}, stated).collect()["Tags"]
    assert text == '{"env":"test","for":true,"x":"y"}'
    nothing = dict.fromkeys(("env", "x", "team", "acme/tier"))
    assert as_exported(built, {}, nothing).collect()["Tags"].to_list() == [None]


def test_an_export_gives_no_tags_to_a_tax_that_has_none_and_breaks_no_rule() -> None:
    category = pl.col("ChargeCategory")
    rows = clean().with_columns(Tags=pl.when(category != "Tax").then("Tags"))
    shown = as_exported(rows, {}, {"for": "finance"}).collect()
    assert "Tax" in shown["ChargeCategory"].to_list()
    assert shown.filter(category == "Tax")["Tags"].null_count() == shown.filter(category == "Tax").height
    others = shown.filter(category != "Tax")["Tags"].to_list()
    assert others
    assert all(json.loads(each)["for"] == "finance" for each in others)
    assert shown.drop("Tags").equals(rows.collect().drop("Tags"))


def shown_of(vendor: Catalog, export: TagsOfExport | None = None) -> dict[tuple[str, str], tuple[Any, ...]]:
    made = with_made_columns(resolve(vendor), vendor, *([export] if export else []))
    return {
        (row["meter"] or row["customer"], row["column"]): (row["layer"], row["value"], row["set_at"])
        for row in made.to_frame().to_dicts()
    }


def test_it_is_shown_which_layer_decides_each_key() -> None:
    vendor = tagged(defaults={"env": "prod", "team": "none"}, meter={"n": 3, "x": None}, customer={"c": "7"})
    shown = shown_of(vendor)
    assert shown["tokens", "Tags.env"] == ("default", "prod", "defaults.tags.env")
    assert shown["tokens", "Tags.n"] == ("meter", "3", "meters[tokens].tags.n")
    assert shown["tokens", "Tags.x"] == ("meter", "null", "meters[tokens].tags.x")
    event = ("event", "none", "meters[tokens].tag_dimensions, defaults.tags.team")
    assert shown["tokens", "Tags.team"] == event
    assert shown["globex", "Tags.c"] == ("customer", "7", "customers[globex].tags.c")
    assert shown["seats", "Tags.env"] == ("default", "prod", "defaults.tags.env")
    assert shown["tokens", "Tags"][:2] == ("event", "team, acme/tier, c, n, x, env")

    export = shown_of(vendor, TagsOfExport("destinations[finance].tags", {"env": "test", "c": None}))
    assert export["tokens", "Tags.env"] == ("export", "test", "destinations[finance].tags.env")
    assert export["tokens", "Tags.c"] == ("export", "null", "destinations[finance].tags.c")
    assert ("globex", "Tags.c") not in export
    assert export["tokens", "Tags"][0] == "export"


def detailed(defaults: dict[str, Any], meter: dict[str, Any] | None = None) -> Catalog:
    return catalog(
        defaults=DEFAULTS | {"sku_price_details": defaults},
        meters=[TOKENS | {"sku_price_details": meter or {}}, SEATS],
    )


def test_stated_properties_stand_beside_those_of_the_price_and_the_price_list_has_them_too() -> None:
    vendor = detailed({"x_Book": "2026", "GpuCount": 1}, {"GpuCount": 8, "x_Book": None})
    built = build(
        rated(line(), line("2", "4", charge=UNIT, tier=None, subject="initech")), slices(vendor), vendor
    )
    details = dict(built.select("x_MeterSlug", "SkuPriceDetails").collect().iter_rows())
    tokens = '{"GpuCount":8,"x_PriceModel":"graduated","x_Tier":"1","x_TierFrom":"0"}'
    assert details["tokens"] == tokens
    assert details["seats"] == '{"GpuCount":1,"x_Book":"2026","x_PriceModel":"unit"}'
    listed = price_list(built).collect()
    assert set(listed["SkuPriceDetails"]) == set(details.values())
    assert set(listed["PriceModel"]) == {"graduated", "unit"}
    found = check(project(built, "1.4"), rules_for("1.4"))
    assert found.clean, found
    shown = shown_of(vendor)
    assert shown["tokens", "SkuPriceDetails.GpuCount"] == (
        "meter",
        "8",
        "meters[tokens].sku_price_details.GpuCount",
    )
    assert shown["seats", "SkuPriceDetails.x_Book"] == (
        "default",
        "2026",
        "defaults.sku_price_details.x_Book",
    )


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"Colour": "red"}, "Colour: is no property of FOCUS; "),
        ({"GpuCuont": 1}, "nearest: GpuCount"),
        ({"x_Tier": "2"}, "x_Tier: is made of the price itself"),
        ({"GpuCount": "eight"}, "GpuCount: found 'eight'; FOCUS wants a number"),
        ({"DiskType": 7}, "DiskType: found 7; FOCUS wants a text"),
    ],
)
def test_a_property_that_focus_does_not_have_is_refused(stated: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidDimension) as caught:
        resolve(detailed(stated))
    assert "defaults.sku_price_details." in str(caught.value)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("column", "instead"),
    [
        ("SkuId", "meters[...].sku_dimensions"),
        ("SkuPriceId", "price list"),
        ("SkuPriceDetails", "sku_price_details of meters or defaults"),
        ("Tags", "tags beside dimensions"),
    ],
)
def test_columns_that_are_put_together_are_refused_with_what_is_set_instead(
    column: str, instead: str
) -> None:
    with pytest.raises(InvalidDimension) as caught:
        resolve(catalog(meters=[TOKENS | {"dimensions": {column: "mine"}}, SEATS]))
    assert f"meters[tokens].dimensions.{column}: cannot be set" in str(caught.value)
    assert instead in str(caught.value)

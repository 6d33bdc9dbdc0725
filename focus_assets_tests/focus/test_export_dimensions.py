"""What an export request decides stands before every other layer, and what FOCUS does not have is refused."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from focus_assets.focus.dimensions import InvalidDimension, Layer, resolve
from focus_assets.focus.export_dimensions import as_exported, decided, require_valid, with_export
from focus_assets.focus.project import project
from focus_assets.focus.rules import check, rules_for
from focus_assets_tests.focus.sample import clean
from focus_assets_tests.focus.test_dimensions import vendor

PLACE = "destinations[finance].dimensions"


def refused(**overrides: str | None) -> str:
    with pytest.raises(InvalidDimension) as caught:
        require_valid(PLACE, overrides)
    return str(caught.value)


def shown(**overrides: str | None) -> pl.DataFrame:
    require_valid(PLACE, overrides)
    return as_exported(clean(), overrides).collect()


def test_the_export_stands_before_event_meter_and_default() -> None:
    catalog = vendor(meter={"RegionId": {"dimension": "region"}}, customers={"ann": {"RegionId": "eu-1"}})
    found = with_export(resolve(catalog), PLACE, {"RegionId": "global"})
    answer = found.of("tokens", "RegionId")
    assert (answer.layer, answer.text, answer.dimension) == (Layer.EXPORT, "global", None)
    assert answer.set_at == "destinations[finance].dimensions.RegionId"
    assert found.of("tokens", "RegionName").text == "global"
    assert found.customers == {}
    assert found.of("tokens", "ServiceName").layer is Layer.DEFAULT


def test_without_overrides_rows_stay_as_they_are_stored() -> None:
    assert shown().equals(clean().collect())


def test_an_id_takes_its_names_along() -> None:
    assert decided({"RegionId": "global"}) == {"RegionId": "global", "RegionName": "global"}
    assert decided({"RegionId": None}) == {"RegionId": None, "RegionName": None}
    assert decided({"RegionId": "eu", "RegionName": "Europe"})["RegionName"] == "Europe"
    assert decided({"ResourceId": "r", "ResourceType": "Pool"})["ResourceName"] is None
    assert decided({"ServiceCategory": "Compute"})["ServiceSubcategory"] == "Other (Compute)"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"ServiceCategory": "compute"}, r"ServiceCategory: 'compute' is not one of the 19 values of FOCUS"),
        (
            {"ServiceCategory": "Compute", "ServiceSubcategory": "Generative AI"},
            "'Generative AI' belongs to ServiceCategory 'AI and Machine Learning', but ServiceCategory there is",
        ),
        (
            {"ServiceSubcategory": "Generative AI"},
            "set destinations[finance].dimensions.ServiceCategory to it",
        ),
        ({"ServiceName": None}, "ServiceName: null is no answer: FOCUS does not allow null here"),
        ({"ServiceName": " "}, "ServiceName: is empty; write a text"),
        ({"BilledCost": "0"}, "BilledCost: no column that can be set"),
        ({"SubAccountId": "all"}, "SubAccountId needs SubAccountType beside it"),
        ({"RegionId": "eu", "RegionName": None}, "RegionName: null is no answer where"),
    ],
)
def test_what_focus_does_not_have_is_refused_with_its_place(overrides: dict[str, Any], said: str) -> None:
    sentence = refused(**overrides)
    assert said in sentence
    assert PLACE in sentence


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert "2 problem(s)" in refused(ServiceCategory="compute", ServiceName=None)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3", "1.4"])
@pytest.mark.parametrize(
    "overrides",
    [
        {"ServiceCategory": "Databases", "ServiceSubcategory": "Caching", "ServiceName": "Everything"},
        {"RegionId": None},
        {"RegionId": "eu", "RegionName": "Europe", "ProviderName": "Reseller"},
        {"SubAccountId": "all", "SubAccountType": "Company"},
        {"ResourceId": None, "AvailabilityZone": None},
    ],
)
def test_clean_rows_stay_clean_whatever_an_export_decides(version: str, overrides: dict[str, Any]) -> None:
    rows = shown(**overrides).lazy()
    assert check(project(rows, version), rules_for(version)).clean


def test_a_tax_gets_no_region_and_a_row_without_sku_no_meter() -> None:
    rows = shown(RegionId="eu", SkuMeter="Work", HostProviderName="Cloud")
    before = clean().collect()
    taxes = before["ChargeCategory"] == "Tax"
    assert taxes.any()
    for column in ("RegionId", "SkuMeter", "HostProviderName"):
        assert rows.filter(taxes)[column].equals(before.filter(taxes)[column])
    assert set(rows.filter(pl.col("SkuId").is_not_null())["SkuMeter"]) == {"Work"}
    assert set(rows.filter(pl.col("SkuId").is_null())["SkuMeter"]) <= {None}


def test_a_name_alone_is_shown_where_the_id_has_a_value() -> None:
    rows = shown(RegionName="Europe")
    assert set(rows.filter(pl.col("RegionId").is_not_null())["RegionName"]) == {"Europe"}
    assert set(rows.filter(pl.col("RegionId").is_null())["RegionName"]) <= {None}

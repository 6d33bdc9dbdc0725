"""Layers of dimensions: which one decides, and what is said where none does."""

from __future__ import annotations

from typing import Any

import pytest

from focus_assets.catalog.snapshot import Catalog
from focus_assets.focus.dimensions import InvalidDimension, Layer, UnresolvedDimension, resolve
from focus_assets.focus.made_columns import with_made_columns
from focus_assets.focus.settable import SETTABLE

ANSWERED = {"ServiceName": "Acme Chat", "ServiceCategory": "Compute", "RegionId": "eu-west"}


def vendor(
    meter: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    customers: dict[str, dict[str, Any]] | None = None,
    **named: str,
) -> Catalog:
    """One meter, tokens, grouped by region and service, and the settings of each layer."""
    tokens = {
        "slug": "tokens",
        "event_type": "prompt",
        "aggregation": "COUNT",
        "group_by": {"region": "$.region", "service": "$.service"},
        "dimensions": meter or {},
    }
    return Catalog.model_validate(
        {
            "defaults": {
                "provider_name": "Acme",
                "dimensions": ANSWERED if defaults is None else defaults,
                **named,
            },
            "meters": [tokens],
            "features": [{"key": "chat", "meter": "tokens"}],
            "customers": [{"key": key, "dimensions": own} for key, own in (customers or {}).items()],
        }
    )


def without(column: str) -> dict[str, Any]:
    return {name: value for name, value in ANSWERED.items() if name != column}


def sentences(of: Catalog, kind: type[Exception] = UnresolvedDimension) -> str:
    with pytest.raises(kind) as caught:
        resolve(of)
    assert type(caught.value) is kind
    return str(caught.value)


def test_the_meter_stands_before_the_default() -> None:
    resolution = resolve(vendor(meter={"RegionId": "us-east"}))
    assert (resolution.of("tokens", "RegionId").text, resolution.of("tokens", "ServiceName").text) == (
        "us-east",
        "Acme Chat",
    )
    assert resolution.of("tokens", "RegionId").layer is Layer.METER
    assert resolution.of("tokens", "RegionId").set_at == "meters[tokens].dimensions.RegionId"
    assert resolution.of("tokens", "ServiceName").layer is Layer.DEFAULT
    assert resolution.of("tokens", "ServiceName").set_at == "defaults.dimensions.ServiceName"


def test_a_null_at_the_meter_stands_before_a_text_in_the_defaults() -> None:
    answer = resolve(vendor(meter={"RegionId": None})).of("tokens", "RegionId")
    assert (answer.text, answer.is_null, answer.layer) == (None, True, Layer.METER)


def test_an_event_dimension_falls_through_to_the_default() -> None:
    answer = resolve(vendor(meter={"RegionId": {"dimension": "region"}})).of("tokens", "RegionId")
    assert (answer.dimension, answer.text, answer.layer) == ("region", "eu-west", Layer.EVENT)
    own = {"RegionId": {"dimension": "region", "default": "us-east"}}
    assert resolve(vendor(meter=own)).of("tokens", "RegionId").text == "us-east"


def test_a_default_from_an_event_holds_only_for_meters_that_group_by_it() -> None:
    defaults = ANSWERED | {"RegionId": {"dimension": "zone", "default": "eu-west"}}
    answer = resolve(vendor(defaults=defaults)).of("tokens", "RegionId")
    assert (answer.dimension, answer.text, answer.layer) == (None, "eu-west", Layer.DEFAULT)
    assert "RegionId has a value in no layer" in sentences(
        vendor(defaults=ANSWERED | {"RegionId": {"dimension": "zone"}})
    )


def test_a_column_that_may_be_null_resolves_from_an_event_alone() -> None:
    own = {"RegionId": {"dimension": "region"}}
    answer = resolve(vendor(meter=own, defaults=without("RegionId"))).of("tokens", "RegionId")
    assert (answer.layer, answer.text, answer.is_null) == (Layer.EVENT, None, False)


def test_providers_follow_one_another_unless_named() -> None:
    resolution = resolve(vendor(publisher_name="Press", host_provider_name="Metal"))
    followed = {column: resolution.of("tokens", column) for column in SETTABLE}
    assert followed["ProviderName"].text == "Acme"
    assert followed["ProviderName"].set_at == "defaults.provider_name"
    assert (followed["PublisherName"].text, followed["HostProviderName"].text) == ("Press", "Metal")
    assert followed["InvoiceIssuerName"].follows == "ProviderName"
    assert followed["ServiceProviderName"].follows == "ProviderName"
    assert resolve(vendor()).of("tokens", "HostProviderName").follows == "ServiceProviderName"


def test_the_layer_that_decided_is_shown_for_every_meter_and_column() -> None:
    of = vendor(
        meter={"RegionId": {"dimension": "region"}}, customers={"globex": {"RegionName": "Frankfurt"}}
    )
    shown = resolve(of).to_frame()
    assert shown.columns == ["meter", "customer", "column", "layer", "value", "dimension", "set_at"]
    assert set(shown.filter(meter="tokens")["column"]) == set(SETTABLE)
    rows = {(r["customer"], r["column"]): r for r in shown.to_dicts()}
    assert rows[None, "RegionId"] == {
        "meter": "tokens",
        "customer": None,
        "column": "RegionId",
        "layer": "event",
        "value": "eu-west",
        "dimension": "region",
        "set_at": "meters[tokens].dimensions.RegionId",
    }
    assert rows[None, "ServiceProviderName"]["set_at"] == "not set; follows ProviderName"
    assert rows["globex", "RegionName"]["set_at"] == "customers[globex].dimensions.RegionName"


def test_a_null_that_was_given_is_shown_as_null_and_what_nobody_set_as_nothing() -> None:
    of = vendor(meter={"RegionId": None}, customers={"globex": {"RegionId": None}})
    shown = {(r["customer"], r["column"]): r["value"] for r in resolve(of).to_frame().to_dicts()}
    assert shown[None, "RegionId"] == shown["globex", "RegionId"] == "null"
    assert shown[None, "AvailabilityZone"] is None


def test_what_tags_and_skus_are_made_of_is_shown_for_every_meter() -> None:
    of = vendor()
    shown = with_made_columns(resolve(of), of).to_frame().filter(meter="tokens")
    assert set(shown["column"]) == {*SETTABLE, "SkuId", "SkuPriceId", "SkuPriceDetails", "Tags"}
    rows = {row["column"]: (row["layer"], row["value"], row["set_at"]) for row in shown.to_dicts()}
    assert rows["Tags"] == ("event", "region, service", "meters[tokens].group_by")
    assert rows["SkuId"] == ("derived", "chat", "not set; the feature's key")
    assert rows["SkuPriceId"][0] == "derived"


@pytest.mark.parametrize(
    ("own", "prefix", "expected"),
    [
        (["region"], None, ("event", "region", "region", "meters[tokens].tag_dimensions")),
        (
            ["region"],
            "acme",
            ("event", "region, acme/tier", "region", "meters[tokens].tag_dimensions, customers[...].labels"),
        ),
        ([], "acme", ("customer", "acme/tier", None, "customers[...].labels")),
        ([], None, ("unset", None, None, "not set; FOCUS allows null")),
    ],
    ids=["dimensions", "both", "labels", "neither"],
)
def test_tags_say_which_keys_come_from_events_and_which_from_the_vendor(
    own: list[str], prefix: str | None, expected: tuple[str | None, ...]
) -> None:
    found = vendor().model_dump(mode="json")
    found["meters"][0] |= {"tag_dimensions": own, "sku_dimensions": ["service"]}
    found["defaults"]["vendor_tag_prefix"] = prefix
    found["customers"] = [{"key": "globex", "labels": {"tier": "gold"}}]
    of = Catalog.model_validate(found)
    shown = {r["column"]: r for r in with_made_columns(resolve(of), of).to_frame().to_dicts() if r["meter"]}
    names = ("layer", "value", "dimension", "set_at")
    assert tuple(shown["Tags"][name] for name in names) == expected
    sku = ("event", "chat/service=…", "service", "meters[tokens].sku_dimensions")
    assert tuple(shown["SkuId"][name] for name in names) == sku


@pytest.mark.parametrize("column", ["ServiceName", "ServiceCategory", "RegionId"])
def test_a_required_column_that_resolves_nowhere_names_meter_column_and_places(column: str) -> None:
    message = sentences(vendor(defaults=without(column)))
    assert f"meter 'tokens': {column} has a value in no layer" in message
    assert f"meters[tokens].dimensions.{column}" in message
    assert f"defaults.dimensions.{column}" in message
    assert ("or to null" in message) == (column == "RegionId")
    assert "nothing was written" in message


def test_all_problems_stand_in_one_message() -> None:
    message = sentences(vendor(meter={"Region": "x", "ServiceSubcategory": "Bots"}, defaults={}))
    for part in ("ServiceName", "ServiceCategory", "RegionId", "meters[tokens].dimensions.Region:"):
        assert part in message
    assert message.startswith("4 problem(s)")


def test_a_required_column_from_an_event_needs_a_default() -> None:
    own = {"ServiceName": {"dimension": "service"}}
    assert "'service', which events may lack" in sentences(vendor(meter=own, defaults=without("ServiceName")))
    resolve(vendor(meter=own))
    own = {"ServiceName": {"dimension": "service", "default": "Acme"}}
    resolve(vendor(meter=own, defaults=without("ServiceName")))


def test_customers_resolve_a_column_only_if_all_of_them_do() -> None:
    some = {"globex": {"RegionId": "us-east"}, "initech": {}}
    assert "but not for initech" in sentences(vendor(defaults=without("RegionId"), customers=some))
    every = some | {"initech": {"RegionId": None}}
    answer = resolve(vendor(defaults=without("RegionId"), customers=every)).of("tokens", "RegionId")
    assert answer.layer is Layer.CUSTOMER


def test_a_meter_that_no_feature_sells_needs_no_answers() -> None:
    of = vendor(defaults={}).model_copy(update={"features": ()})
    assert resolve(of).answers == {}


@pytest.mark.parametrize(
    ("column", "nearest"),
    [
        ("Servicename", "nearest: ServiceName"),
        ("RegionID", "nearest: RegionId"),
        ("SubaccountId", "SubAccountId"),
        ("Colour", "allowed: ServiceName, ServiceCategory"),
        ("BilledCost", "no column that can be set"),
    ],
)
@pytest.mark.parametrize("place", ["meters[tokens]", "defaults", "customers[globex]"])
def test_an_unknown_column_is_refused_with_the_nearest_names(place: str, column: str, nearest: str) -> None:
    setting = {column: "x"}
    of = {
        "meters[tokens]": vendor(meter=setting),
        "defaults": vendor(defaults=ANSWERED | setting),
        "customers[globex]": vendor(customers={"globex": setting}),
    }[place]
    message = sentences(of, InvalidDimension)
    assert f"{place}.dimensions.{column}: no column that can be set; " in message
    assert nearest in message


@pytest.mark.parametrize(
    ("column", "found", "nearest"),
    [
        ("ServiceCategory", "compute", "nearest: Compute"),
        ("ServiceCategory", "Qwxz", "allowed: AI and Machine Learning"),
        ("ServiceSubcategory", "No-SQL DB", "nearest: NoSQL Databases"),
        ("ServiceSubcategory", "virtual machines", "nearest: Virtual Machines"),
    ],
)
def test_services_outside_the_closed_lists_are_refused(column: str, found: str, nearest: str) -> None:
    message = sentences(vendor(meter={column: found}), InvalidDimension)
    assert f"meters[tokens].dimensions.{column}: {found!r} is not one of the" in message
    assert nearest in message


def test_a_subcategory_under_the_wrong_parent_is_refused_with_both_places() -> None:
    message = sentences(vendor(meter={"ServiceSubcategory": "Caching"}), InvalidDimension)
    assert (
        "meters[tokens].dimensions.ServiceSubcategory: 'Caching' belongs to ServiceCategory 'Databases'"
        in message
    )
    assert "'Compute' (defaults.dimensions.ServiceCategory)" in message
    assert "Virtual Machines" in message


def test_a_subcategory_left_out_is_the_other_of_its_category() -> None:
    answer = resolve(vendor()).of("tokens", "ServiceSubcategory")
    assert (answer.text, answer.layer) == ("Other (Compute)", Layer.DERIVED)


def test_a_default_subcategory_does_not_follow_a_meter_to_another_category() -> None:
    defaults = ANSWERED | {"ServiceSubcategory": "Containers"}
    assert resolve(vendor(defaults=defaults)).of("tokens", "ServiceSubcategory").text == "Containers"
    own = {"ServiceCategory": "Storage", "ServiceName": "Acme Disk"}
    answer = resolve(vendor(meter=own, defaults=defaults)).of("tokens", "ServiceSubcategory")
    assert answer.text == "Other (Storage)"


def test_a_service_with_two_categories_is_refused() -> None:
    of = vendor(meter={"ServiceCategory": "Storage"})
    second = of.meters[0].model_copy(update={"slug": "disks", "dimensions": {}})
    feature = of.features[0].model_copy(update={"key": "disk", "meter": "disks"})
    both = of.model_copy(update={"meters": (*of.meters, second), "features": (*of.features, feature)})
    message = sentences(both, InvalidDimension)
    assert "service 'Acme Chat' has ServiceCategory 'Storage' at meter 'tokens'" in message
    assert "and 'Compute' at meter 'disks'" in message


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"ServiceName": None}, "null is no answer"),
        ({"SkuMeter": None}, "null is no answer"),
        ({"ProviderName": " "}, "is empty; write a text"),
        ({"RegionId": ""}, "is empty; write a text or null"),
        ({"RegionId": {"dimension": "region", "default": ""}}, "is empty"),
        ({"ServiceCategory": {"dimension": "service"}}, "cannot come from an event"),
        ({"ServiceSubcategory": {"dimension": "service"}}, "cannot come from an event"),
    ],
)
def test_a_setting_that_focus_does_not_allow_is_refused(settings: dict[str, Any], part: str) -> None:
    (column,) = settings
    assert f"meters[tokens].dimensions.{column}: {part}" in sentences(
        vendor(meter=settings), InvalidDimension
    )


@pytest.mark.parametrize("column", ["ServiceCategory", "ServiceSubcategory", "SkuMeter"])
def test_what_belongs_to_the_meter_is_not_a_customers_to_set(column: str) -> None:
    message = sentences(vendor(customers={"globex": {column: "Compute"}}), InvalidDimension)
    assert f"customers[globex].dimensions.{column}: a customer cannot set it" in message


@pytest.mark.parametrize(
    ("settings", "column"),
    [
        ({"ResourceId": {"dimension": "service"}}, "ResourceType"),
        ({"ResourceId": "r-1", "ResourceType": None}, "ResourceType"),
        ({"SubAccountId": {"dimension": "service"}}, "SubAccountType"),
        ({"SubAccountName": None}, "SubAccountName"),
        ({"RegionName": None}, "RegionName"),
    ],
)
def test_an_id_wants_its_name_and_type(settings: dict[str, Any], column: str) -> None:
    message = sentences(vendor(meter=settings))
    assert f"meter 'tokens': {column} has no value where" in message
    assert f"meters[tokens].dimensions.{column}" in message


def test_an_id_that_only_a_customer_sets_wants_its_type_from_somewhere() -> None:
    own = {"globex": {"ResourceId": "r-1"}}
    assert "ResourceType of customer 'globex' has no value" in sentences(vendor(customers=own))
    resolve(vendor(customers={"globex": own["globex"] | {"ResourceType": "Cluster"}}))
    resolve(vendor(meter={"ResourceType": "Cluster"}, customers=own))
    assert "SubAccountType of customer 'globex'" in sentences(
        vendor(customers={"globex": {"SubAccountId": "s"}})
    )


def test_names_and_types_without_an_id_may_be_null_too() -> None:
    region = {"RegionId": None, "RegionName": None, "ResourceType": None}
    account = dict.fromkeys(("SubAccountId", "SubAccountName", "SubAccountType"))
    for given in (region, account):
        found = resolve(vendor(meter=given))
        assert [found.of("tokens", column).text for column in given] == [None] * 3

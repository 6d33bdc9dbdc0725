"""The catalog a server gives: the same charges as the configuration it was made from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from focus_assets.catalog.charges import slices_on
from focus_assets.catalog.custom_currencies import CustomCurrency, PricedIn
from focus_assets.catalog.fees import fees_on
from focus_assets.catalog.models import RateCard
from focus_assets.catalog.snapshot import Catalog, CatalogProblem, FocusDefaults
from focus_assets.openmeter import asked_once, catalog_now
from focus_assets.openmeter.errors import UnsupportedCatalogEntry
from focus_assets.settings import MeterDetails
from focus_assets_tests.openmeter.company import DAYS, catalog, validated
from focus_assets_tests.openmeter_server import documents
from focus_assets_tests.openmeter_server.app import Company
from focus_assets_tests.openmeter_server.documents import ulid
from focus_assets_tests.openmeter_server.running import SourceSettings, connected_to


class NoMetering:
    """The catalog asks for no usage."""

    def rows(self, *asked: Any) -> list[Any]:
        raise AssertionError(asked)


def read(
    known: Catalog,
    details: dict[str, MeterDetails] | None = None,
    fees: dict[str, dict[str, str | None]] | None = None,
    custom: Sequence[CustomCurrency] = (),
    **company: Any,
) -> Catalog:
    of = Company(known, NoMetering(), **company)
    return asked_once(
        SourceSettings(),
        lambda server: catalog_now(
            server, FocusDefaults(provider_name="Test"), details or {}, fees=fees, custom_currencies=custom
        ),
        connected_to(validated(of)),
    )


def charges(known: Catalog, day: dt.date) -> set[tuple[Any, ...]]:
    """What is rated on a day, whatever subscriptions are called; a server knows earlier when a price will end."""
    return {
        (
            s.charge.customer.key,
            s.charge.customer.subjects,
            s.charge.feature.key,
            tuple(sorted(s.charge.feature.filters.items())),
            s.charge.meter.slug,
            s.charge.meter.aggregation,
            s.charge.rate_card.price.model_dump_json(),
            s.charge.list_price.model_dump_json(),
            s.charge.currency,
            s.charge.rating,
            s.charge.period.start,
            s.period,
            s.billing,
        )
        for s in slices_on(known.on(day), day)
    }


@pytest.mark.parametrize("has_v3", [True, False])
def test_a_server_sells_what_its_configuration_says(has_v3: bool) -> None:
    found = read(catalog(), has_v3=has_v3)
    for day in DAYS:
        assert charges(found, day) == charges(catalog(), day)
    assert {customer.id for customer in found.customers} == {
        ulid("customer", key) for key in ("ann", "bob", "cy")
    }


def test_packages_volume_tiers_and_multipliers_are_what_the_server_says() -> None:
    tiers = [{"up_to_amount": "9", "unit_price": "2"}, {"unit_price": "1", "flat_price": "3"}]
    prices = [
        {"type": "package", "amount": "2", "quantity_per_package": "1000", "maximum_amount": "50"},
        {"type": "tiered", "mode": "volume", "tiers": tiers},
        {"type": "dynamic", "multiplier": "1.2"},
    ]
    cards = [
        {"feature": key, "price": price}
        for key, price in zip(("requests", "large_tokens", "small_tokens"), prices, strict=True)
    ]
    known = catalog(plans=[{"key": "basic", "rate_cards": cards}])
    found = read(known)
    for day in DAYS:
        assert charges(found, day) == charges(known, day)
    assert {s.charge.rate_card.price.type for s in slices_on(found.on(DAYS[0]), DAYS[0])} == {
        "package",
        "tiered",
        "dynamic",
        "unit",
    }


def test_a_changed_price_keeps_its_earlier_version() -> None:
    (cy,) = [s for s in read(catalog()).subscriptions if s.customer == "cy"]
    versions = [card for card in cy.rate_cards if card.key == "requests"]
    assert [card.valid_from for card in versions] == [
        dt.datetime(2026, 8, 1, tzinfo=dt.UTC),
        dt.datetime(2026, 8, 3, 13, 40, tzinfo=dt.UTC),
    ]
    assert versions[0].valid_to == versions[1].valid_from


def test_what_openmeter_does_not_know_of_a_meter_comes_from_the_settings() -> None:
    details = {"tokens": MeterDetails(unit="Tokens", sku_dimensions=("model",), tags={"kind": "ai"})}
    tokens = read(catalog(), details).meter["tokens"]
    assert tokens.tags == {"kind": "ai"}
    assert (tokens.unit, tokens.sku_dimensions, tokens.event_type) == ("Tokens", ("model",), "prompt")
    with pytest.raises(UnsupportedCatalogEntry, match=r"source\.openmeter\.meters names tokns"):
        read(catalog(), {"tokns": MeterDetails(unit="Tokens")})


def test_a_price_that_is_not_known_here_names_plan_and_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "price_v1", lambda card: {"type": "lottery", "amount": "1"})
    monkeypatch.setattr("focus_assets_tests.openmeter_server.validation.available", lambda: False)
    with pytest.raises(
        UnsupportedCatalogEntry, match=r"plan 'basic' version 1, item '.*' cannot be represented.*lottery"
    ):
        read(catalog())


def test_an_aggregation_that_is_not_known_here_names_the_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    real = documents.meter_v3
    monkeypatch.setattr(documents, "meter_v3", lambda meter: {**real(meter), "aggregation": "median"})
    monkeypatch.setattr("focus_assets_tests.openmeter_server.validation.available", lambda: False)
    with pytest.raises(UnsupportedCatalogEntry, match="meter 'tokens' has the aggregation 'median'"):
        read(catalog())


@pytest.mark.parametrize("has_v3", [True, False])
def test_a_customers_id_is_a_subject_where_the_settings_say_so(has_v3: bool) -> None:
    of = Company(catalog(), NoMetering(), has_v3=has_v3)

    def subjects(customer_id_is_subject: bool) -> tuple[str, ...]:
        found = asked_once(
            SourceSettings(),
            lambda server: catalog_now(
                server,
                FocusDefaults(provider_name="Test"),
                {},
                customer_id_is_subject=customer_id_is_subject,
            ),
            connected_to(validated(of)),
        )
        return found.customer["cy"].subjects

    assert subjects(False) == ("cy", "cy-1")
    assert set(subjects(True)) == {"cy", "cy-1", ulid("customer", "cy")}


@pytest.mark.parametrize("has_v3", [True, False])
def test_dimensions_that_the_server_takes_for_its_own_are_left_out(
    monkeypatch: pytest.MonkeyPatch, has_v3: bool
) -> None:
    name, dimensions = ("meter_v3", "dimensions") if has_v3 else ("meter_v1", "groupBy")
    real, own = getattr(documents, name), {"customer_id": "$.customer", "subject": "$.who"}
    monkeypatch.setattr(
        documents, name, lambda meter: {**real(meter), dimensions: {**real(meter).get(dimensions, {}), **own}}
    )
    assert {m.slug: m.group_by for m in read(catalog(), has_v3=has_v3).meters} == {
        m.slug: m.group_by for m in catalog().meters
    }


def test_prices_need_v1() -> None:
    with pytest.raises(UnsupportedCatalogEntry, match="offers v3 only"):
        read(catalog(), has_v1=False)


def with_fees() -> Catalog:
    """The company, with a base fee, a set-up fee, and an add-on that ann buys for some days in August."""
    base = {"key": "base", "price": {"type": "flat", "amount": "29"}}
    setup = {"key": "setup", "billing_cadence": None, "price": {"type": "flat", "amount": "100"}}
    support = {"key": "support", "feature": "support", "price": {"type": "flat", "amount": "7.50"}}
    known = catalog()
    unmetered = {"key": "support", "name": "Support"}
    add_on = {**support, "valid_from": "2026-08-02T08:00:00Z", "valid_to": "2026-08-03T20:00:00Z"}
    changes: dict[str, Any] = {
        "features": [*(f.model_dump() for f in known.features), unmetered],
        "plans": [{"key": "basic", "rate_cards": [*known.plans[0].rate_cards, base, setup]}],
        "subscriptions": [
            {
                "customer": "ann",
                "plan": "basic",
                "active_from": "2026-08-01T00:00:00Z",
                "billing_anchor": "2026-08-03T06:00:00Z",
                "pro_rating_config": {"enabled": False},
                "rate_cards": [add_on],
            },
            *known.subscriptions[1:],
        ],
    }
    return catalog(**changes)


def fees(known: Catalog, day: dt.date) -> set[tuple[Any, ...]]:
    return {
        (
            fee.customer.key,
            fee.key,
            fee.title,
            fee.price,
            fee.list_price,
            fee.rate_card.one_time,
            fee.service,
            fee.full,
            fee.billing,
            fee.prorates,
        )
        for fee in fees_on(known.on(day), day)
    }


def test_a_server_charges_the_fees_that_its_configuration_says() -> None:
    found, known = read(with_fees()), with_fees()
    for day in DAYS:
        assert {fee[:2] + fee[3:] for fee in fees(found, day)} == {
            fee[:2] + fee[3:] for fee in fees(known, day)
        }
    assert {fee[1] for fee in fees(found, DAYS[1])} == {"base", "setup", "support"}


def test_columns_of_fees_that_openmeter_does_not_know_come_from_the_settings() -> None:
    columns = {"ServiceName": "Platform", "RegionId": None}
    cards = [card for s in read(with_fees(), fees={"base": columns}).subscriptions for card in s.rate_cards]
    assert {tuple(card.dimensions.items()) for card in cards if card.key == "base"} == {
        tuple(columns.items())
    }
    assert not any(card.dimensions for card in cards if card.key != "base")
    with pytest.raises(
        UnsupportedCatalogEntry, match=r"source\.openmeter\.fees names bsae.*its flat fees: base, set"
    ):
        read(with_fees(), fees={"bsae": columns})


PRICING = {
    "input_per_token": "0.00000025",
    "output_per_token": "0.00000125",
    "cache_read_per_token": "0.000000025",
}
LLM = {
    "type": "llm",
    "provider": "acme",
    "model_property": "model",
    "token_type_property": "kind",
}


def price(id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": ulid("llm", id),
        "provider": "acme",
        "model": id,
        "currency": "USD",
        "source": "system",
        "pricing": PRICING,
        "effective_from": "2026-01-01T00:00:00Z",
        **changes,
    }


def with_costs(amount: str = "0.002", **changes: Any) -> Catalog:
    costs = [
        {"feature": "large_tokens", "cost": LLM},
        {"feature": "requests", "cost": {"type": "manual", "amount": amount}},
    ]
    prices = [price("large"), price("small", effective_to="2026-08-03T00:00:00Z")]
    return catalog(unit_costs=costs, llm_prices=prices, **changes)


@pytest.mark.parametrize("has_v3", [True, False])
def test_unit_costs_llm_prices_and_currencies_are_part_of_the_snapshot(has_v3: bool) -> None:
    found, known = read(with_costs(), has_v3=has_v3), with_costs()
    assert found.unit_costs == known.unit_costs
    assert found.unit_costs[1].cost.amount == Decimal("0.002")  # type: ignore[union-attr]
    assert {each.id for each in found.llm_prices} == (
        {each.id for each in known.llm_prices} if has_v3 else set()
    )
    assert [(each.code, each.subunits) for each in found.currencies] == [("USD", 2)]
    assert Catalog.from_frame(found.to_frame()) == found


def test_a_snapshot_holds_the_llm_prices_of_its_day_only() -> None:
    found = read(with_costs())
    held = {day: {each.model for each in found.on(day).llm_prices} for day in DAYS}
    assert held == {day: {"large", "small"} if day < dt.date(2026, 8, 3) else {"large"} for day in DAYS}


def test_llm_prices_are_not_asked_for_where_no_cost_is_looked_up_there() -> None:
    assert read(catalog(llm_prices=[price("large")])).llm_prices == ()


def test_a_unit_cost_that_is_not_known_here_names_the_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "unit_cost_v3", lambda catalog, feature: {"unit_cost": {"type": "guess"}})
    monkeypatch.setattr("focus_assets_tests.openmeter_server.validation.available", lambda: False)
    with pytest.raises(UnsupportedCatalogEntry, match=r"feature '.*', unit cost cannot be represented"):
        read(catalog())


def test_a_plan_in_a_custom_currency_needs_to_be_told_what_it_is_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("focus_assets_tests.openmeter_server.validation.available", lambda: False)
    worth = {"code": "AI_CREDITS", "cost_bases": [{"fiat_code": "USD", "rate": "0.02"}]}
    plan = catalog().plans[0].model_dump() | {"currency": "AI_CREDITS"}
    known = catalog(plans=[plan], custom_currencies=[worth])
    found = read(known, custom=known.custom_currencies)
    [bob] = [s for s in slices_on(found.on(DAYS[1]), DAYS[1]) if s.charge.customer.key == "bob"][:1]
    assert (bob.charge.currency, bob.charge.priced_in) == (
        "USD",
        PricedIn(known.custom_currencies[0], Decimal("0.02")),
    )
    with pytest.raises(CatalogProblem, match=r"^plan 'basic', currency: unknown currency 'AI_CREDITS'"):
        read(known)


def test_discounts_are_read_as_v1_writes_them() -> None:
    known = catalog()
    card = {"feature": "requests", "price": {"type": "unit", "amount": "1"}}
    discounted = known.subscriptions[0].model_copy(
        update={
            "rate_cards": (
                RateCard.model_validate({**card, "discounts": {"percentage": "20", "usage": "5.5"}}),
            )
        }
    )
    found = read(Catalog(**{**dict(known), "subscriptions": (discounted,)}))
    [own] = [each for each in found.subscriptions[0].rate_cards if each.feature == "requests"]
    assert (own.discounts.percentage, own.discounts.usage) == (20, Decimal("5.5"))

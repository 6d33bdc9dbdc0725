"""Rows of Cost and Usage: what every column says, and what nothing may break."""

from __future__ import annotations

import datetime as dt
import json
import random
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import polars as pl
import pytest

from focus_assets.focus.columns import WORDS_FOR_NOTHING, columns
from focus_assets.focus.cost_and_usage import build
from focus_assets.focus.dimensions import UnresolvedDimension
from focus_assets.focus.schema import internal_schema
from focus_assets.focus.sku import AmbiguousSkuPriceError
from focus_assets_tests.focus.vendor import (
    CATALOG,
    DEFAULTS,
    GRADUATED,
    SEATS,
    TOKENS,
    UNIT,
    catalog,
    fee,
    line,
    rated,
    slices,
)


def rows(*lines: dict[str, Any], **changes: Any) -> list[dict[str, Any]]:
    vendor = catalog(**changes)
    return build(rated(*lines), slices(vendor), vendor).collect().to_dicts()


def row(one: dict[str, Any], **changes: Any) -> dict[str, Any]:
    (made,) = rows(one, **changes)
    return made


SHARED = {
    "AvailabilityZone": None,
    "BillingAccountId": "01J5GLOBEX",
    "BillingAccountName": "Globex GmbH",
    "BillingAccountType": "Customer",
    "BillingCurrency": "EUR",
    "BillingPeriodEnd": dt.datetime(2026, 9, 15, 13, 22, 7, tzinfo=dt.UTC),
    "BillingPeriodStart": dt.datetime(2026, 8, 15, 13, 22, 7, tzinfo=dt.UTC),
    "CapacityReservationId": None,
    "CapacityReservationStatus": None,
    "ChargeClass": None,
    "ChargePeriodEnd": dt.datetime(2026, 8, 21, tzinfo=dt.UTC),
    "ChargePeriodStart": dt.datetime(2026, 8, 20, tzinfo=dt.UTC),
    "CommitmentDiscountCategory": None,
    "CommitmentDiscountId": None,
    "CommitmentDiscountName": None,
    "CommitmentDiscountQuantity": None,
    "CommitmentDiscountStatus": None,
    "CommitmentDiscountType": None,
    "CommitmentDiscountUnit": None,
    "InvoiceId": None,
    "InvoiceIssuerName": "Acme Cloud",
    "PricingCategory": "Standard",
    "PricingCurrency": "EUR",
    "ProviderName": "Acme Cloud",
    "PublisherName": "Acme Cloud",
    "ResourceId": None,
    "ResourceName": None,
    "ResourceType": None,
    "ServiceCategory": "AI and Machine Learning",
    "ServiceName": "Acme Chat",
    "ServiceSubcategory": "Generative AI",
    "SkuMeter": "Tokens Used",
}

USAGE = SHARED | {
    "BilledCost": Decimal("2.25"),
    "ChargeCategory": "Usage",
    "ChargeDescription": "Chat, usage in tier 2, 0.009 per Tokens, Pro",
    "ChargeFrequency": "Usage-Based",
    "ConsumedQuantity": Decimal(250),
    "ConsumedUnit": "Tokens",
    "ContractedCost": Decimal("2.25"),
    "ContractedUnitPrice": Decimal("0.009"),
    "EffectiveCost": Decimal("2.25"),
    "ListCost": Decimal("2.5"),
    "ListUnitPrice": Decimal("0.01"),
    "PricingCurrencyContractedUnitPrice": Decimal("0.009"),
    "PricingCurrencyEffectiveCost": Decimal("2.25"),
    "PricingCurrencyListUnitPrice": Decimal("0.01"),
    "PricingQuantity": Decimal(250),
    "PricingUnit": "Tokens",
    "RegionId": "us-east",
    "RegionName": "us-east",
    "SkuId": "chat/model=large",
    "SkuPriceDetails": '{"x_PriceModel":"graduated","x_Tier":"2","x_TierFrom":"1000"}',
    "SkuPriceId": "pro/chat/usage:2/model=large",
    "SubAccountId": "globex-prod",
    "SubAccountName": "globex-prod",
    "SubAccountType": "Subject",
    "Tags": '{"acme/tier":"gold","model":"large","region":"us-east"}',
}

PURCHASE = SHARED | {
    "BilledCost": Decimal("3.5"),
    "ChargeCategory": "Purchase",
    "ChargeDescription": "Chat, fee of tier 2, 3.5 per Fees, Pro",
    "ChargeFrequency": "One-Time",
    "ConsumedQuantity": None,
    "ConsumedUnit": None,
    "ContractedCost": Decimal("3.5"),
    "ContractedUnitPrice": Decimal("3.5"),
    "EffectiveCost": Decimal("3.5"),
    "ListCost": Decimal("3.5"),
    "ListUnitPrice": Decimal("3.5"),
    "PricingCurrencyContractedUnitPrice": Decimal("3.5"),
    "PricingCurrencyEffectiveCost": Decimal("3.5"),
    "PricingCurrencyListUnitPrice": Decimal("3.5"),
    "PricingQuantity": Decimal(1),
    "PricingUnit": "Fees",
    "RegionId": "eu-west",
    "RegionName": "eu-west",
    "SkuId": "chat",
    "SkuPriceDetails": '{"x_PriceModel":"graduated","x_Tier":"2","x_TierFrom":"1000"}',
    "SkuPriceId": "pro/chat/tier_fee:2",
    "SubAccountId": None,
    "SubAccountName": None,
    "SubAccountType": None,
    "Tags": '{"acme/tier":"gold"}',
}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(
            line(
                "250",
                "0.009",
                list_price="0.01",
                tier=2,
                dimensions={"model": "large", "region": "us-east", "team": None},
            ),
            USAGE,
            id="usage",
        ),
        pytest.param(fee(), PURCHASE, id="purchase"),
    ],
)
def test_every_column_of_1_2_says_what_the_mapping_promises(
    one: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert len(expected) == 57
    assert {column.id for column in columns("1.2")} == expected.keys()
    made = row(one)
    assert {name: made[name] for name in expected} == expected


def test_columns_of_later_versions_and_our_own_are_filled_or_null_on_purpose() -> None:
    made = row(line(dimensions={"model": "large"}))
    rest = {name: value for name, value in made.items() if name not in USAGE}
    assert rest == {
        "AllocatedMethodDetails": None,
        "AllocatedMethodId": None,
        "AllocatedResourceId": None,
        "AllocatedResourceName": None,
        "AllocatedTags": None,
        "CommitmentProgramEligibilityDetails": None,
        "ContractApplied": None,
        "HostProviderName": "Acme Cloud",
        "InvoiceDetailId": None,
        "ServiceProviderName": "Acme Cloud",
        "x_AdjustmentReason": None,
        "x_ChargeId": GRADUATED,
        "x_CorrectedInvoiceId": None,
        "x_CreditGrantId": None,
        "x_CustomerKey": "globex",
        "x_FeatureKey": "chat",
        "x_IsEstimated": True,
        "x_MeterSlug": "tokens",
        "x_OpenMeterInvoiceId": None,
        "x_PlanKey": "pro",
        "x_PriceComponent": "usage:1",
        "x_SubscriptionKey": "globex/pro",
    }


def test_the_frame_has_the_stored_shape_also_without_rows() -> None:
    vendor = catalog()
    for lines in (rated(), rated(line(), fee())):
        frame = build(lines, slices(vendor), vendor)
        assert frame.collect_schema() == internal_schema()
        assert frame.collect().schema == internal_schema()
    assert build(rated(), [], vendor).collect().schema == internal_schema()


def test_a_custom_plan_prices_its_feature_under_default() -> None:
    made = row(line("3", "4", charge=UNIT, tier=None, subject=None))
    assert made["SkuId"] == "seats"
    assert made["SkuPriceId"] == "default/seats/usage"
    assert made["SkuPriceDetails"] == '{"x_PriceModel":"unit"}'
    assert made["x_PriceComponent"] == "usage"
    assert made["ChargeDescription"] == "seats, usage, 4 per Seats, custom plan"
    assert (made["x_PlanKey"], made["x_CustomerKey"]) == (None, "initech")
    assert (made["BillingAccountId"], made["BillingAccountName"]) == ("initech", "initech")


def test_usage_across_subjects_has_no_sub_account_and_no_tags() -> None:
    made = row(line("3", "4", charge=UNIT, tier=None, subject=None))
    assert [made[name] for name in ("SubAccountId", "SubAccountName", "SubAccountType")] == [None] * 3
    assert made["Tags"] is None
    assert made["ConsumedQuantity"] == 3


def test_a_null_given_explicitly_for_the_region_stays_null() -> None:
    made = row(line("3", "4", charge=UNIT, tier=None, subject=None))
    assert (made["RegionId"], made["RegionName"]) == (None, None)


@pytest.mark.parametrize("region", [None, "", "N/A", "not applicable", "NULL"])
def test_an_event_without_a_region_takes_the_default_of_the_meter(region: str | None) -> None:
    assert row(line(dimensions={"region": region}))["RegionId"] == "eu-west"


def test_a_customer_comes_after_the_event_and_before_the_meter() -> None:
    customers = [
        {"key": "globex", "dimensions": {"RegionId": "de-fra", "RegionName": "Frankfurt"}},
        {"key": "initech"},
    ]
    named, silent = rows(line(dimensions={"region": "us-east"}), line(tier=2), customers=customers)
    assert (named["RegionId"], silent["RegionId"], silent["RegionName"]) == ("us-east", "de-fra", "Frankfurt")


def test_a_null_that_a_customer_gives_is_not_filled_from_another_column() -> None:
    nothing = dict.fromkeys(("HostProviderName", "SubAccountId", "RegionId"))
    made = row(line(), customers=[{"key": "globex", "dimensions": nothing}, {"key": "initech"}])
    assert {name: made[name] for name in (*nothing, "SubAccountName", "SubAccountType", "RegionName")} == (
        nothing | dict.fromkeys(("SubAccountName", "SubAccountType", "RegionName"))
    )
    assert made["ServiceProviderName"] == "Acme Cloud"


def test_names_that_follow_take_the_value_of_the_row_they_follow() -> None:
    meter = TOKENS | {"dimensions": TOKENS["dimensions"] | {"ProviderName": {"dimension": "team"}}}
    for team, provider in (("Hooli", "Hooli"), (None, "Acme Cloud")):
        made = row(line(dimensions={"team": team}), meters=[meter, SEATS])
        names = ("ProviderName", "PublisherName", "InvoiceIssuerName", "HostProviderName")
        assert [made[name] for name in names] == [provider] * 4


def test_a_sub_account_from_an_event_is_not_mixed_with_subjects() -> None:
    own = {"SubAccountId": {"dimension": "team"}, "SubAccountType": "Team"}
    meter = TOKENS | {"dimensions": TOKENS["dimensions"] | own}
    named, silent = rows(line(dimensions={"team": "red"}), line(tier=2), meters=[meter, SEATS])
    columns = ("SubAccountId", "SubAccountName", "SubAccountType")
    assert [named[name] for name in columns] == ["red", "red", "Team"]
    assert [silent[name] for name in columns] == [None] * 3


def test_a_resource_has_no_name_or_type_where_it_has_no_id() -> None:
    own = {"ResourceId": {"dimension": "team"}, "ResourceType": "Workspace", "ResourceName": "Chat room"}
    meter = TOKENS | {"dimensions": TOKENS["dimensions"] | own}
    named, silent = rows(line(dimensions={"team": "red"}), line(tier=2), meters=[meter, SEATS])
    columns = ("ResourceId", "ResourceName", "ResourceType")
    assert [named[name] for name in columns] == ["red", "Chat room", "Workspace"]
    assert [silent[name] for name in columns] == [None] * 3


def test_tags_are_the_dimensions_the_meter_names_and_those_of_the_vendor() -> None:
    for chosen, tags in (
        (["team"], {"acme/tier": "gold", "team": "red"}),
        ([], {"acme/tier": "gold"}),
        (["subject"], {"acme/tier": "gold", "subject": "globex-prod"}),
    ):
        meter = TOKENS | {"tag_dimensions": chosen}
        made = row(line(dimensions={"team": "red", "model": "large"}), meters=[meter, SEATS])
        assert json.loads(made["Tags"]) == tags


def test_lines_that_no_column_tells_apart_are_one_row_and_lose_no_amount() -> None:
    meter = TOKENS | {"tag_dimensions": ["region"]}
    lines = [line(str(n), dimensions={"team": team}) for n, team in enumerate(("red", "blue", None), 1)]
    elsewhere = line("7", dimensions={"team": "red", "region": "us-east"})
    made = rows(*lines, elsewhere, fee(), meters=[meter, SEATS])
    shown = {(one["x_PriceComponent"], one["RegionId"]): one for one in made}
    assert len(made) == len(shown) == 3
    merged, apart = shown["usage:1", "eu-west"], shown["usage:1", "us-east"]
    assert (merged["ConsumedQuantity"], merged["PricingQuantity"], merged["BilledCost"]) == (
        6,
        6,
        Decimal("0.12"),
    )
    assert apart["ConsumedQuantity"] == 7
    assert shown["tier_fee:2", "eu-west"]["ConsumedQuantity"] is None


def test_merged_lines_cost_their_summed_quantity_times_the_price_to_the_last_place() -> None:
    """0.333333333 × 5e-12 has 21 places; forty such costs, each rounded, are 1.3e-17 too much."""
    cost, billed = Decimal("0.000000000001666667"), Decimal("0.000000000001666666")
    amounts = {"list_cost": cost, "contracted_cost": cost, "billed_cost": billed, "effective_cost": cost}
    lines = [line("0.333333333", "5e-12", dimensions={"team": str(n)}) | amounts for n in range(40)]
    (made,) = rows(*lines, meters=[TOKENS | {"tag_dimensions": []}, SEATS])
    product = (Decimal("13.33333332") * Decimal("5e-12")).quantize(Decimal("1e-18"), ROUND_HALF_UP)
    assert product != 40 * cost
    assert made["PricingQuantity"] == Decimal("13.33333332")
    assert made["ListCost"] == made["ContractedCost"] == made["EffectiveCost"] == product
    assert made["BilledCost"] == product - 40 * (cost - billed)


def test_without_a_vendor_prefix_the_vendor_adds_no_tags() -> None:
    defaults = DEFAULTS | {"vendor_tag_prefix": None}
    assert row(line(dimensions={"team": "red"}), defaults=defaults)["Tags"] == '{"team":"red"}'
    assert row(line(), defaults=defaults)["Tags"] is None


def test_the_fee_of_the_first_tier_recurs_and_others_are_paid_once() -> None:
    first, second = rows(fee("5", 1), fee("3.5", 2))
    assert (first["ChargeFrequency"], second["ChargeFrequency"]) == ("Recurring", "One-Time")
    assert first["SkuPriceId"] == "pro/chat/tier_fee:1"


def test_a_negotiated_price_keeps_the_published_tier_in_its_sku_price() -> None:
    """The customer pays one price from 0 to 500 and another above; the plan's tiers are cut at 1000."""
    subscriptions = [
        {
            "customer": "globex",
            "plan": "pro",
            "active_from": "2026-08-15T13:22:07Z",
            "rate_cards": [
                {
                    "feature": "chat",
                    "price": {
                        "type": "tiered",
                        "mode": "graduated",
                        "tiers": [{"up_to_amount": 500, "unit_price": "0.02"}, {"unit_price": "0.005"}],
                    },
                }
            ],
        }
    ]
    made = rows(*(line(tier=tier) for tier in (1, 2, 3)), subscriptions=subscriptions)
    assert [one["SkuPriceId"] for one in made] == ["pro/chat/usage:1", "pro/chat/usage:1", "pro/chat/usage:2"]
    assert [one["x_PriceComponent"] for one in made] == ["usage:1", "usage:2", "usage:3"]
    assert [json.loads(one["SkuPriceDetails"])["x_TierFrom"] for one in made] == ["0", "0", "1000"]


def test_sku_price_ids_outlast_a_price_change() -> None:
    def with_price(amount: str, currency: str) -> Any:
        plan = CATALOG["plans"][0]
        tiers = [{"up_to_amount": 9, "unit_price": amount}, {"unit_price": amount}]
        card = {"feature": "chat", "price": {"type": "tiered", "mode": "graduated", "tiers": tiers}}
        return [plan | {"currency": currency, "rate_cards": [card]}]

    one = line(tier=2, dimensions={"model": "large"})
    before, after = (row(one, plans=with_price(*p)) for p in (("0.5", "USD"), ("7", "GBP")))
    assert before["SkuPriceId"] == after["SkuPriceId"] == "pro/chat/usage:2/model=large"
    assert (before["BillingCurrency"], after["PricingCurrency"]) == ("USD", "GBP")


def test_a_sku_price_has_one_sku_also_where_dimensions_split_it() -> None:
    made = rows(
        *(
            line(tier=t, dimensions={"model": m})
            for t in (1, 2)
            for m in ("a", "b", "", None, "a/model=b", "%2F")
        )
    )
    parents: dict[str, set[str]] = {}
    for one in made:
        parents.setdefault(one["SkuPriceId"], set()).add(one["SkuId"])
    assert len(parents) == 12
    assert all(len(skus) == 1 for skus in parents.values())
    assert len({one["SkuId"] for one in made}) == 6


def test_different_dimensions_never_give_the_same_sku() -> None:
    values: list[dict[str, str | None]] = [
        {"model": "a/team=b", "team": None},
        {"model": "a", "team": "b"},
        {"model": "a%2Fteam=b", "team": None},
    ]
    made = rows(
        *(line(dimensions=v) for v in values), meters=[TOKENS | {"sku_dimensions": ["team", "model"]}, SEATS]
    )
    assert sorted(one["SkuId"] for one in made) == [
        "chat/model=a%252Fteam=b",
        "chat/model=a%2Fteam=b",
        "chat/model=a/team=b",
    ]


def test_a_subscriptions_card_for_another_feature_is_not_the_plans_price() -> None:
    own = {"key": "chat", "feature": "seats", "price": {"type": "unit", "amount": "4"}}
    subscription = {
        "customer": "globex",
        "plan": "pro",
        "active_from": "2026-08-15T13:22:07Z",
        "rate_cards": [own],
    }
    made = row(line("3", "4", tier=None), subscriptions=[subscription])
    assert (made["SkuId"], made["SkuPriceId"]) == ("seats", "default/seats/usage")


def test_a_meter_keeps_its_own_choice_of_tags_and_sku_beside_other_meters() -> None:
    seats = SEATS | {"group_by": {"model": "$.model", "team": "$.team"}, "tag_dimensions": ["team"]}
    used = {"model": "large", "team": "red"}
    tokens, other = rows(
        line(dimensions=used), line(charge=UNIT, tier=None, dimensions=used), meters=[TOKENS, seats]
    )
    assert (tokens["SkuId"], other["SkuId"]) == ("chat/model=large", "seats")
    assert other["Tags"] == '{"team":"red"}'


def test_a_subject_as_tag_leaves_lines_without_subject_their_other_tags() -> None:
    seats = SEATS | {"group_by": {"team": "$.team"}, "tag_dimensions": ["subject", "team"]}
    one = line(charge=UNIT, tier=None, subject=None, dimensions={"team": "red"})
    assert row(one, meters=[TOKENS, seats])["Tags"] == '{"team":"red"}'


@pytest.mark.parametrize("prefix", ["a", "n", "n/", "model", "z", "model-x/sub"])
def test_keys_of_tags_are_sorted_whatever_the_vendors_prefix(prefix: str) -> None:
    customers = [{"key": "globex", "labels": {"z": "1", "a": '"', "ü": "2"}}, {"key": "initech"}]
    made = row(
        line(dimensions={"model": "large", "region": "us-east", "team": "red"}),
        customers=customers,
        defaults=DEFAULTS | {"vendor_tag_prefix": prefix},
    )
    tags = json.loads(made["Tags"])
    assert len(tags) == 6
    assert {f"{prefix.rstrip('/')}/{key}" for key in ("a", "z", "ü")} < tags.keys()
    assert made["Tags"] == json.dumps(tags, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_a_rate_card_that_moves_to_another_feature_is_refused() -> None:
    price = {"type": "unit", "amount": "1"}
    cards = [
        {"key": "card", "feature": "chat", "price": price},
        {"key": "card", "feature": "seats", "price": price, "valid_from": "2026-08-10"},
    ]
    vendor = catalog(plans=[{"key": "pro", "rate_cards": cards}])
    with pytest.raises(AmbiguousSkuPriceError, match=r"plans\[pro\]\.rate_cards\[card\].*'seats'"):
        build(rated(), slices(vendor), vendor)


def test_an_unresolved_dimension_stops_before_anything_is_computed() -> None:
    vendor = catalog(defaults=DEFAULTS | {"dimensions": {}})

    def touched(frame: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("a line was read")

    with pytest.raises(UnresolvedDimension, match="ServiceName"):
        build(rated(line()).map_batches(touched), slices(catalog()), vendor)


def test_the_order_of_lines_makes_no_difference() -> None:
    lines = [
        line(str(n), tier=tier, subject=subject, dimensions={"team": team})
        for n, (tier, subject, team) in enumerate(
            (t, s, d) for t in (1, 2) for s in (None, "globex", "globex-prod") for d in ("red", None)
        )
    ] + [fee("5", 1), fee("3.5", 2), line(charge=UNIT, tier=None, subject=None)]
    expected = rows(*lines)
    for seed in range(5):
        random.Random(seed).shuffle(lines)
        assert rows(*lines) == expected


def test_streaming_gives_the_same_rows_in_the_same_order() -> None:
    lines = [line(str(n % 7), tier=1 + n % 2, dimensions={"team": f"t{n}"}) for n in range(1, 500)]
    vendor = catalog()
    frame = build(rated(*lines), slices(vendor), vendor)
    assert frame.collect(engine="streaming").equals(frame.collect(engine="in-memory"))


def test_a_line_of_no_slice_keeps_its_cost_and_shows_no_account() -> None:
    made = row(line("7", "1", charge="nobody/pro/chat/20260801T000000Z"))
    assert (made["BilledCost"], made["BillingAccountId"]) == (7, None)


def test_costs_and_quantities_are_carried_to_their_last_digit() -> None:
    one = line("1", "1") | {
        "consumed_quantity": Decimal("12345678901234567890.123456789"),
        "pricing_quantity": Decimal("1234567890123456789012.1234567890123456"),
        "contracted_unit_price": Decimal("0.000000000001"),
        "billed_cost": Decimal("-0.000000000000000001"),
    }
    made = row(one)
    assert made["ConsumedQuantity"] == one["consumed_quantity"]
    assert made["PricingQuantity"] == one["pricing_quantity"]
    assert made["BilledCost"] == one["billed_cost"]
    assert "0.000000000001 per Tokens" in made["ChargeDescription"]


TEXTS = [
    '"',
    "\\",
    "\n",
    "\x00",
    "\x1f",
    "\x7f",
    "\u2028",
    "ü",
    "日本",
    "😀",
    "",
    " ",
    "/",
    "%",
    "=",
    "null",
    "{}",
]


def test_any_dimension_value_survives_into_tags_and_ids() -> None:
    chance = random.Random(20260820)
    combinations: dict[str, dict[str, str | None]] = {}
    while len(combinations) < 300:
        values = {
            key: None if chance.random() < 0.2 else "".join(chance.choices(TEXTS, k=chance.randrange(4)))
            for key in ("model", "region", "team")
        }
        combinations[json.dumps(values)] = values
    wanted = list(combinations.values())
    lines = [line(str(n), dimensions=values) for n, values in enumerate(wanted, 1)]
    made = {int(one["ConsumedQuantity"]): one for one in rows(*lines)}
    skus: dict[str, set[str | None]] = {}
    for n, values in enumerate(wanted, 1):
        tags = {key: value for key, value in values.items() if value is not None} | {"acme/tier": "gold"}
        canonical = json.dumps(tags, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert made[n]["Tags"] == canonical
        # The rule formats.RegionId_empty refuses "null" as a region, so it cannot survive as one.
        named = values["region"] not in (None, *WORDS_FOR_NOTHING)
        assert made[n]["RegionId"] == (values["region"] if named else "eu-west")
        skus.setdefault(made[n]["SkuId"], set()).add(values["model"])
    assert all(len(models) == 1 for models in skus.values())
    assert len(skus) == len({values["model"] for values in wanted})

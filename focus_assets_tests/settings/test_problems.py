"""Every refusal says file, line, key path, what was found and what is allowed."""

import pytest

from focus_assets.settings import ConfigurationError
from focus_assets_tests.settings.starting import PATH, loaded, refusal


def test_a_refusal_names_the_file() -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(("aggregation: SUM", "aggregation: SUMM"))
    assert str(caught.value).startswith(f"{PATH}, line 6, ")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "event_type: prompt",
            "event_typ: prompt",
            "line 5, meters[tokens].event_typ: unknown key 'event_typ'; did you mean 'event_type'? Allowed: slug,",
        ),
        (
            "meters:",
            "metres:",
            "line 3, metres: unknown key 'metres'; did you mean 'meters'? Allowed: start_date,",
        ),
        (
            "aggregation: SUM",
            "aggregation: SUMM",
            "line 6, meters[tokens].aggregation: found 'SUMM'; allowed: 'SUM', 'COUNT',",
        ),
        (
            "currency: EUR",
            "currency: euro",
            "line 2, defaults.currency: found 'euro'; allowed: an ISO 4217 code of three capitals, such as USD",
        ),
        (
            "provider_name: Acme",
            "provider_name: 7",
            "line 2, defaults.provider_name: found the number 7; allowed: a text",
        ),
        (
            "slug: tokens",
            "slug: My Tokens",
            "line 4, meters[My Tokens].slug: found 'My Tokens'; allowed: lower-case",
        ),
        ("    event_type: prompt\n", "", "line 4, meters[tokens].event_type: is missing."),
        (
            "start_date: 2026-08-01\n",
            "",
            "line 1, start_date: is missing. start_date: First day of the chain",
        ),
        (
            "start_date: 2026-08-01",
            "start_date: 2026-08-01\nas_of: 2999-08-05",
            "line 2, as_of: 2999-08-05T00:00:00Z is on a day to come; set one that is not, or leave it out",
        ),
        (
            "start_date: 2026-08-01",
            "start_date: 2026-02-30",
            "line 1, start_date: found '2026-02-30'; allowed: a day",
        ),
        (
            "start_date: 2026-08-01",
            "start_date: 20260801",
            "line 1, start_date: found the number 20260801: is a number",
        ),
        (
            "mode: graduated",
            "mode: staircase",
            "line 19, plans[pro].rate_cards[tokens].price.mode: found 'staircase'; allowed: 'graduated' or 'volume'",
        ),
        (
            "type: tiered",
            "type: packages",
            "line 17, plans[pro].rate_cards[tokens].price: found type 'packages'; "
            "allowed: 'free', 'flat', 'unit', 'tiered', 'package', 'dynamic'",
        ),
        (
            "      - feature: tokens\n        price:",
            "      - {key: base, price: {type: flat, amount: -29}}\n      - feature: tokens\n        price:",
            "line 16, plans[pro].rate_cards[base].price.amount: found the number -29; "
            "it should be greater than or equal to 0",
        ),
        (
            "      - feature: tokens\n        price:",
            "      - {key: base, price: {type: flat, amount: 29, payment_term: later}}\n"
            "      - feature: tokens\n        price:",
            "line 16, plans[pro].rate_cards[base].price.payment_term: found 'later'; allowed: 'in_advance'",
        ),
        (
            "      - feature: tokens\n        price:",
            "      - {price: {type: flat, amount: 29}}\n      - feature: tokens\n        price:",
            "line 16, plans[pro].rate_cards[0]: needs a feature, or for a flat fee at least a key",
        ),
        (
            "      - feature: tokens\n        price:",
            "      - {key: base, price: {type: flat, amount: 29, maximum_amount: 5}}\n"
            "      - feature: tokens\n        price:",
            "line 16, plans[pro].rate_cards[base].price.maximum_amount: unknown key 'maximum_amount'",
        ),
        (
            "destinations:",
            "credits:\n  - {key: gift, customer: acme, amount: 5, effective_at: 2026-07-31}\ndestinations:",
            "line 26, credits[gift].effective_at: 2026-07-31T00:00:00Z lies before start_date 2026-08-01, and what "
            "was used of the credit by then is not known. Either make amount what was left on start_date and set "
            "opening: zero, or make effective_at 2026-08-01 or later",
        ),
        (
            "destinations:",
            "credits:\n  - {key: gift, customer: acme, amount: 0, effective_at: 2026-08-01}\ndestinations:",
            "line 26, credits[gift].amount: found the number 0; it should be greater than 0",
        ),
        (
            "destinations:",
            "credits:\n  - {key: gift, customer: acme, amount: 5, effective_at: 2026-08-01, priority: 0}\n"
            "destinations:",
            "line 26, credits[gift].priority: found the number 0; it should be greater than or equal to 1",
        ),
        (
            "destinations:",
            "credits:\n  - {key: gift, customer: acme, amount: 5, effective_at: 2026-08-02, expires_at: 2026-08-01}\n"
            "destinations:",
            "line 26, credits[gift]: expires_at 2026-08-01T00:00:00Z is not after effective_at 2026-08-02T00:00:00Z",
        ),
        ("type: tiered", "kind: tiered", "line 17, plans[pro].rate_cards[tokens].price: is missing type;"),
        (
            "unit_price: 0.1",
            "unit_price: cheap",
            "line 21, plans[pro].rate_cards[tokens].price.tiers[0].unit_price: found 'cheap'; allowed: a number",
        ),
        (
            "unit_price: 0.1",
            "unit_price: 0.1, unit: 3",
            "line 21, plans[pro].rate_cards[tokens].price.tiers[0].unit: unknown key 'unit'. Allowed: up_to_amount,",
        ),
        (
            "1000",
            "-1",
            "line 21, plans[pro].rate_cards[tokens].price.tiers[0].up_to_amount: found the number -1; "
            "it should be greater than 0",
        ),
        (
            "RegionId: null",
            "RegionId: 5",
            "line 2, defaults.dimensions.RegionId: found the number 5; allowed: a text",
        ),
        (
            "RegionId: null}",
            "RegionId: null}, tags: {env: [a, b]}",
            "line 2, defaults.tags.env: found a list; allowed: a text, a number, true, false or null",
        ),
        (
            "RegionId: null}",
            "RegionId: null}, tags: {'': a}",
            "line 2, defaults.tags.: found ''; allowed: a text that is not empty, without spaces at its ends",
        ),
        (
            "RegionId: null}",
            "RegionId: null}, tags: {rate: 0.12345678901234567890}",
            "line 2, defaults.tags.rate: found the number 0.12345678901234567890: has more digits than a JSON number",
        ),
        (
            "RegionId: null}",
            "RegionId: null}, vendor_tag_prefix: acme, tags: {acme/env: a}",
            "line 2, defaults.tags: found the key 'acme/env', which begins with defaults.vendor_tag_prefix 'acme/'",
        ),
        (
            "RegionId: null",
            "RegionId: {dimensio: r}",
            "line 2, defaults.dimensions.RegionId.dimensio: unknown key 'dimensio'; did you mean 'dimension'?",
        ),
        (
            "subject_keys: [a, b]",
            "subject_keys: a",
            "line 12, customers[acme].subject_keys: found 'a'; allowed: a list",
        ),
        (
            "customers: [acme]",
            "customers: some",
            "line 26, destinations[local].customers: found 'some'; allowed: 'all'",
        ),
        (
            "customers: [acme]",
            "customers: []",
            "line 26, destinations[local].customers: names no customer; write all",
        ),
        (
            "customers: [acme]",
            "focus_version: 1.2",
            "line 26, destinations[local].focus_version: found the number 1.2; allowed: '1.0', '1.1', '1.2'",
        ),
        (
            "2026-08-15T13:22:07Z",
            "2026-08-15T13:22:07",
            "line 24, subscriptions[0].active_from: found '2026-08-15T13:22:07': needs a time zone",
        ),
        (
            "value_property: $.tokens",
            "value_property: tokens",
            "line 4, meters[tokens]: value_property is the JSON path 'tokens'",
        ),
        (
            "group_by: {model",
            "groupBy: {'9'",
            "line 8, meters[tokens].groupBy.9: found '9'; allowed: letters, digits",
        ),
        # What entries say of each other:
        (
            "meter: tokens}",
            "meter: token}",
            "line 10, features[tokens].meter: unknown meter 'token'; known meters: tokens",
        ),
        (
            "- feature: tokens",
            "- feature: storage",
            "line 16, plans[pro].rate_cards[storage].feature: unknown feature 'storage': "
            "a price needs a feature, and a feature a meter",
        ),
        (
            "customers: [acme]",
            "customers: [acne]",
            "line 26, destinations[local].customers: unknown customer 'acne'; known customers: acme",
        ),
        (
            "- {key: acme, ",
            "- {key: acme}\n  - {key: acme, ",
            "line 13, customers[acme]: customer 'acme' stands 2 times",
        ),
        ("url: out", "url: data/lake/out", "line 26, destinations[local].url: lies within the lake"),
        (
            "- {name: local,",
            "- {name: local, url: elsewhere}\n  - {name: local,",
            "line 26, destinations[local].name: 'local' stands more than once",
        ),
        (
            "- {name: local,",
            "- {name: other, url: ./out/}\n  - {name: local,",
            "line 27, destinations[local].url: is also the URL of destination 'other'; give each its own prefix",
        ),
        (
            "- {name: local,",
            "- {name: other, url: out/../out/there}\n  - {name: local,",
            "line 26, destinations[other].url: lies in 'out' of destination 'local', whose readers could read",
        ),
        (
            "- {name: local, url: out,",
            "- {name: one, url: s3://bucket/a/b/c}\n  - {name: two, url: s3://bucket/a/}\n  - {name: local, url: out,",
            "line 26, destinations[one].url: lies in 's3://bucket/a/' of destination 'two'",
        ),
        (
            "url: out",
            "url: data",
            "line 26, destinations[local].url: holds the lake, 'data/lake', with the rows of all",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(old: str, new: str, sentence: str) -> None:
    told = refusal((old, new))
    assert any(line.startswith(sentence) for line in told), "\n".join(told)
    assert told[-1] == "Nothing was written."


def test_all_mistakes_are_told_at_once_in_order_of_their_lines() -> None:
    told = refusal(("aggregation: SUM", "aggregation: SUMM"), ("currency: EUR", "currency: 7"), ("1e-7", "x"))
    assert [line.split(",")[0] for line in told[:3]] == ["line 2", "line 6", "line 22"]
    assert told[3:] == [f"3 problems in {PATH}.", "Nothing was written."]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("customers: [acme]", "secret_access_key: hunter2"),
        ("customers: [acme]", "s3: {accessKeyId: hunter2}"),
        ("customers: [acme]", "password: {nested: hunter2}"),
        ("meters:", "api_key: hunter2\nmeters:"),
        ("meters:", "token: hunter2\nmeters:"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(old: str, new: str) -> None:
    told = refusal((old, new))
    assert "looks like a secret; take it out of the file and set it in the environment" in told[0]
    assert "hunter2" not in "\n".join(told)
    assert len(told) == 2


def test_credentials_in_a_url_are_refused_and_never_repeated() -> None:
    told = refusal(("url: out", "url: s3://key:hunter2@bucket"))
    assert told[0].startswith("line 26, destinations[local].url: holds credentials in a URL")
    assert "hunter2" not in "\n".join(told)


def test_a_variable_in_the_file_is_refused_because_it_would_not_be_filled_in() -> None:
    assert (
        "destinations[local].url: holds ${...}; variables are not filled in"
        in refusal(("url: out", 'url: "${OUT}"'))[0]
    )


def test_destinations_beside_each_other_are_no_mistake_whatever_their_names_begin_with() -> None:
    beside = "- {name: one, url: s3://bucket/a/b}\n  - {name: two, url: s3://bucket/a/bc}\n  - {name: local,"
    assert len(loaded(("- {name: local,", beside)).destinations) == 3

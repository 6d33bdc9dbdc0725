"""What a destination may ask for, and what is said where two of its keys do not go together."""

from __future__ import annotations

import datetime as dt

import pytest

from focus_assets.settings import CustomersByLabel, S3Settings
from focus_assets_tests.settings.starting import loaded, refusal

PLAIN = "{name: local, url: out, customers: [acme]}"


def destination(text: str) -> object:
    return loaded((PLAIN, text)).destinations[0]


def refused(text: str) -> str:
    return "\n".join(refusal((PLAIN, text)))


def test_customers_are_all_a_list_or_those_with_labels() -> None:
    assert destination("{name: local, url: out}").customers == "all"
    assert destination(PLAIN).customers == ("acme",)
    labelled = destination("{name: local, url: out, customers: {labels: {tier: gold}}}").customers
    assert labelled == CustomersByLabel(labels={"tier": "gold"})


def test_the_defaults_are_whole_parquet_in_hive_folders_after_each_change() -> None:
    found = destination(PLAIN)
    assert (found.format, found.packed, found.layout, found.mode) == ("parquet", "zstd", "hive", "overwrite")
    assert (found.frequency, found.hour, found.columns, found.partial) == ("each_change", 6, (), False)
    assert found.grace == dt.timedelta(days=7)
    assert destination("{name: local, url: out, layout: finops-hubs}").grace == dt.timedelta(0)
    assert destination("{name: local, url: out, format: csv}").packed == "gzip"


def test_keys_are_camel_case_too() -> None:
    assert destination("{name: local, url: out, keepHours: 3, focusVersion: '1.4'}").keep_hours == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: local, url: out, customers: []}", "names no customer"),
        ("{name: local, url: out, customers: {labels: {}}}", "destinations[local].customers.labels"),
        (
            "{name: local, url: out, customers: {label: {a: b}}}",
            "unknown key 'label'; did you mean 'labels'?",
        ),
        ("{name: local, url: out, customers: [nobody]}", "unknown customer 'nobody'"),
        (
            "{name: local, url: out, format: csv, compression: zstd}",
            "compression zstd for csv; allowed: gzip",
        ),
        (
            "{name: local, url: out, compression: gzip}",
            "compression gzip for parquet; allowed: zstd or snappy",
        ),
        ("{name: local, url: out, partial: true}", "is partial without columns"),
        ("{name: local, url: out, columns: [Tags, Tags]}", "names a column twice"),
        ("{name: local, url: out, hour: 3}", "has an hour without frequency: daily"),
        ("{name: local, url: out, layout: finops-hubs, mode: new_version}", "a hub replaces whole folders"),
        ("{name: local, url: out, layout: spark}", "found 'spark'; allowed: 'hive', 'aws' or 'finops-hubs'"),
        ("{name: local, url: out, frequency: hourly}", "found 'hourly'; allowed: 'each_change', 'daily'"),
        ("{name: local, url: out, s3: {kms_key: k}}", "has a kms_key without encryption: sse-kms"),
        ("{name: local, url: out, frequency: daily, hour: 24}", "destinations[local].hour"),
    ],
)
def test_what_does_not_go_together_is_refused_with_its_place(text: str, said: str) -> None:
    assert said in refused(text)
    assert "destinations[local]" in refused(text)


def test_encryption_becomes_what_the_store_sends_with_each_put() -> None:
    assert S3Settings(encryption="sse-s3").options == {"server_side_encryption": "AES256"}
    assert S3Settings(encryption="sse-kms", kms_key="k-1").options == {
        "server_side_encryption": "aws:kms",
        "sse_kms_key_id": "k-1",
    }


ON_S3 = ("destinations:", "lake: {url: s3://ours/lake}\ndestinations:")


@pytest.mark.parametrize("url", ["out", "/srv/out", "file:///srv/out", "~/out"])
def test_a_lake_in_a_bucket_delivers_to_no_folder_of_its_machine(url: str) -> None:
    said = "\n".join(refusal(ON_S3, (PLAIN, f"{{name: local, url: '{url}'}}")))
    assert f"{url!r} is a folder of the machine that delivers" in said
    assert "local_destinations: true" in said


def test_a_folder_can_be_allowed_and_forbidden() -> None:
    allowed = (ON_S3[0], f"local_destinations: true\n{ON_S3[1]}")
    assert loaded(allowed).destinations[0].url == "/somewhere/out"
    forbidden = ("destinations:", "local_destinations: false\ndestinations:")
    assert "is a folder of the machine" in "\n".join(refusal(forbidden))
    assert loaded(forbidden, (PLAIN, "{name: local, url: s3://theirs/focus}")).destinations


def test_a_destination_may_take_a_tag_of_the_vendor_away_but_not_state_one() -> None:
    prefixed = ("RegionId: null}", "RegionId: null}, vendor_tag_prefix: acme")

    def stating(tags: str) -> tuple[str, str]:
        return PLAIN, f"{{name: local, url: out, tags: {tags}}}"

    found = loaded(prefixed, stating("{acme/tier: null, team: red, n: 1.5, on: true, token: a}"))
    assert found.destinations[0].tags == {
        "acme/tier": None,
        "team": "red",
        "n": 1.5,
        "on": True,
        "token": "a",
    }
    said = refusal(prefixed, stating("{acme/tier: silver}"))[0]
    assert "destinations[local].tags: found the key 'acme/tier', which begins with" in said
    assert "allowed: any other key; null takes it away" in said

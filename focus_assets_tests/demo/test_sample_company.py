"""The sample company: what the demo promises to show is in it, and the same seed gives the same bytes."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from focus_assets.catalog.charges import Charge, require_known_opening, slices_on
from focus_assets.catalog.fees import Fee, fees_on
from focus_assets.catalog.models import Aggregation, FlatPrice, FreePrice, TieredPrice
from focus_assets.catalog.snapshot import Catalog
from focus_assets.demo.company import ConfigurationInUse, SampleCompany, company_yaml, sample_company
from focus_assets.demo.events import EventsFolderInUse, write_events
from focus_assets.demo.usage import FIRST_DAY, LAST_DAY
from focus_assets.settings import Settings
from focus_assets_tests.demo.reading import Entry, entries, first_of_each

DAYS = [FIRST_DAY + dt.timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1)]
KINDS = (
    "defaults",
    "meters",
    "features",
    "customers",
    "plans",
    "subscriptions",
    "credits",
    "custom_currencies",
)


def catalog_of(text: str) -> Catalog:
    document = yaml.safe_load(text)
    return Catalog.model_validate({kind: document[kind] for kind in KINDS})


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> SampleCompany:
    return sample_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def found(company: SampleCompany) -> list[Entry]:
    return list(entries(company.events.folder))


@pytest.fixture(scope="module")
def events(found: list[Entry]) -> list[dict[str, Any]]:
    return first_of_each(found)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return catalog_of(company_yaml())


@pytest.fixture(scope="module")
def charges(catalog: Catalog) -> list[Charge]:
    by_id = {s.charge.charge_id: s.charge for day in DAYS for s in slices_on(catalog.on(day), day)}
    return list(by_id.values())


@pytest.fixture(scope="module")
def fees(catalog: Catalog) -> list[Fee]:
    return [fee for day in DAYS for fee in fees_on(catalog.on(day), day)]


def test_it_charges_fees_of_every_kind_some_of_them_cut_short(fees: list[Fee]) -> None:
    assert {fee.price.payment_term for fee in fees} == {"in_advance", "in_arrears"}
    assert {fee.rate_card.one_time for fee in fees} == {True, False}
    cut = [fee for fee in fees if fee.service != fee.full]
    assert any(fee.service.start > fee.full.start for fee in cut)
    assert any(fee.service.end < fee.full.end for fee in cut)
    assert any(fee.rate_card.discounts.percentage for fee in fees)
    assert len({fee.charge_id for fee in fees}) == len(fees) > 60


def test_it_uses_every_price_there_is_with_discounts_and_limits(
    charges: list[Charge], fees: list[Fee]
) -> None:
    cards = [c.rate_card for c in charges] + [fee.rate_card for fee in fees]
    kinds = {card.price.mode if isinstance(card.price, TieredPrice) else card.price.type for card in cards}
    assert kinds == {"free", "flat", "unit", "graduated", "volume", "package", "dynamic"}
    assert any(card.unit_config for card in cards)
    assert any(card.discounts.usage for card in cards)
    assert any(card.discounts.percentage for card in cards if not card.is_fee)
    limits = [c.rate_card.price for c in charges if not isinstance(c.rate_card.price, FreePrice | FlatPrice)]
    assert any(price.minimum_amount for price in limits)
    assert any(price.maximum_amount for price in limits)
    assert any(charge.priced_in for charge in charges)


def test_it_has_credit_that_was_given_and_that_was_bought_some_of_which_expires(catalog: Catalog) -> None:
    assert {grant.is_bought for grant in catalog.credits} == {True, False}
    assert any(grant.expires_at for grant in catalog.credits)


def test_it_covers_two_whole_months_and_does_not_depend_on_the_calendar(company: SampleCompany) -> None:
    document = yaml.safe_load(company_yaml())
    assert (company.first_day, company.last_day) == (dt.date(2026, 8, 1), dt.date(2026, 9, 30))
    assert document["start_date"] == company.first_day
    assert document["as_of"] == dt.datetime(2026, 10, 1, 6, tzinfo=dt.UTC)


def test_the_configuration_loads_and_says_where_everything_lies(
    company: SampleCompany, catalog: Catalog
) -> None:
    settings = Settings.load(company.config)
    assert settings.catalog == catalog
    assert settings.source.cloudevents.url == str(company.events.folder)
    assert settings.now() == dt.datetime(2026, 10, 1, 6, tzinfo=dt.UTC)


def test_the_configuration_written_is_the_commented_one_of_the_package(company: SampleCompany) -> None:
    assert company.config.read_text() == company_yaml()
    assert company_yaml().count("#") > 15


def test_every_entry_refers_to_entries_that_exist(catalog: Catalog) -> None:
    catalog.check_references()


def test_it_has_twelve_customers_or_more_and_one_with_three_subjects(catalog: Catalog) -> None:
    assert len(catalog.customer) >= 12
    assert max(len(customer.subject_keys) for customer in catalog.customers) == 3


def test_its_meters_use_five_aggregations_and_all_are_bought(catalog: Catalog, charges: list[Charge]) -> None:
    used = {Aggregation.SUM, Aggregation.COUNT, Aggregation.MAX, Aggregation.UNIQUE_COUNT, Aggregation.LATEST}
    assert {meter.aggregation for meter in catalog.meters} == used
    assert {charge.feature.key for charge in charges} == set(catalog.feature)


def test_no_charge_begins_before_the_first_day(catalog: Catalog) -> None:
    for day in DAYS:
        found = slices_on(catalog.on(day), day)
        require_known_opening(found, FIRST_DAY, assume_zero=False)
        assert min(s.charge.period.start.date() for s in found) >= FIRST_DAY


def test_its_subscriptions_have_different_anchors(catalog: Catalog, charges: list[Charge]) -> None:
    begun = [s.active_from for s in catalog.subscriptions]
    assert begun.count(dt.datetime(2026, 8, 1, tzinfo=dt.UTC)) >= 5
    assert dt.datetime(2026, 8, 15, 13, 22, 7, tzinfo=dt.UTC) in begun
    assert any(s.billing_anchor not in (None, s.active_from) for s in catalog.subscriptions)
    assert any(c.rating.end == dt.datetime(2026, 11, 1, tzinfo=dt.UTC) for c in charges), "no quarter"
    of_the_31st = {(c.period.start.day, c.period.end.day) for c in charges if c.subscription.anchor.day == 31}
    assert (31, 30) in of_the_31st
    assert any(s.active_to and (s.active_to.day, s.active_to.hour) == (18, 12) for s in catalog.subscriptions)


def test_a_price_changes_within_a_period_and_another_is_negotiated(charges: list[Charge]) -> None:
    changed = dt.datetime(2026, 9, 10, tzinfo=dt.UTC)
    assert any(charge.period.start == changed != charge.rating.start for charge in charges)
    assert any(charge.plan and charge.list_price != charge.rate_card.price for charge in charges)
    assert any(charge.plan is None for charge in charges)


def test_one_customers_usage_is_invoiced_in_the_middle_of_a_period_but_for_what_has_to_wait_for_its_end(
    catalog: Catalog,
) -> None:
    """Volume tiers (output tokens) and seats, whose number can fall, are not cut."""
    noon = dt.datetime(2026, 8, 16, 12, tzinfo=dt.UTC)
    found = slices_on(catalog, dt.date(2026, 8, 16))
    cut = {(s.customer.key, s.charge.feature.key) for s in found if s.part is not None and s.part.end == noon}
    features = ("input-tokens", "api-requests", "storage", "storage-peak", "active-users")
    assert cut == {("cust-11", feature) for feature in features}


def test_its_prices_are_per_unit_and_graduated_some_with_a_flat_part(charges: list[Charge]) -> None:
    tiered = [c.rate_card.price for c in charges if isinstance(c.rate_card.price, TieredPrice)]
    assert 0 < len(tiered) < len(charges)
    assert any(tier.flat_price and tier.unit_price for price in tiered for tier in price.tiers)


def test_a_subject_moves_from_one_customer_to_another(catalog: Catalog) -> None:
    before, after = (catalog.on(day).customer_of_subject["lab-7"] for day in (DAYS[18], DAYS[19]))
    assert (before, after) == ("cust-05", "cust-06")


def test_there_are_destinations_for_all_customers_and_for_two_in_every_layout_and_format() -> None:
    destinations = yaml.safe_load(company_yaml())["destinations"]
    assert [d.get("customers", "all") for d in destinations] == [
        "all",
        ["cust-01"],
        ["cust-02"],
        "all",
        "all",
    ]
    assert {d.get("layout", "hive") for d in destinations} == {"hive", "aws", "finops-hubs"}
    assert {d.get("format", "parquet") for d in destinations} == {"parquet", "csv"}
    assert {d["focus_version"] for d in destinations} == {"1.2", "1.4"}


def test_a_company_that_is_cut_has_no_destination_of_a_customer_that_was(tmp_path: Path) -> None:
    settings = Settings.load(sample_company(tmp_path, days=1, customers=1).config)
    assert [d.name for d in settings.destinations] == ["finance", "cust-01", "warehouse", "hub"]


def test_every_service_category_and_region_is_given_for_every_meter(catalog: Catalog) -> None:
    for meter in catalog.meters:
        assert {"ServiceName", "ServiceCategory", "ServiceSubcategory", "RegionId"} <= set(meter.dimensions)
    assert any(meter.dimensions["RegionId"] is None for meter in catalog.meters)


def test_what_was_written_is_what_was_reported(company: SampleCompany, found: list[Entry]) -> None:
    said = company.events
    assert said.files == len(digests(said.folder)) == len(DAYS)
    assert said.bytes == sum(path.stat().st_size for path in said.folder.rglob("*.*"))
    assert said.events == len(found)
    assert said.invalid == sum(not entry.is_valid for entry in found)
    keys = Counter((e.event["source"], e.event["id"]) for e in found if e.is_valid and e.event)
    assert said.duplicates == sum(times - 1 for times in keys.values())
    assert 50_000 < said.events < 130_000


def test_files_are_plain_compressed_and_a_batch(company: SampleCompany) -> None:
    kinds = Counter(path.name.partition(".")[2] for path in company.events.folder.rglob("*.*"))
    assert kinds == {"ndjson": 2, "json": 1, "ndjson.gz": len(DAYS) - 3}


def test_compressed_files_do_not_say_when_they_were_written(company: SampleCompany) -> None:
    headers = {path.read_bytes()[:10] for path in company.events.folder.rglob("*.gz")}
    assert [header[3:8] for header in headers] == [bytes(5)], "flags and time of a gzip header are zero"


def test_some_events_are_late_by_two_days(company: SampleCompany, found: list[Entry]) -> None:
    seen: set[tuple[str, str]] = set()
    late = 0
    for entry in found:
        if entry.event and entry.instant and "id" in entry.event:
            key = entry.event["source"], entry.event["id"]
            late += key not in seen and entry.file_day - entry.instant.date() == dt.timedelta(days=2)
            seen.add(key)
    assert late == company.events.late > 300


def test_about_one_in_a_hundred_events_comes_twice_within_and_across_files(found: list[Entry]) -> None:
    first: dict[tuple[str, str], Entry] = {}
    same_file = same_time = other_time = 0
    for entry in found:
        if not entry.is_valid or entry.event is None:
            continue
        original = first.setdefault((entry.event["source"], entry.event["id"]), entry)
        if original is entry:
            continue
        same_file += original.file_day == entry.file_day
        same_time += original.file_day != entry.file_day and original.instant == entry.instant
        other_time += original.instant != entry.instant
    assert min(same_file, same_time, other_time) > 10
    assert 0.005 < (same_file + same_time + other_time) / len(found) < 0.02


def test_ids_are_shared_between_sources(events: list[dict[str, Any]]) -> None:
    sources_of_id = Counter(event["id"] for event in events)
    assert max(sources_of_id.values()) == 2


def test_invalid_events_lack_an_id_a_time_or_their_end(found: list[Entry]) -> None:
    invalid = [entry for entry in found if not entry.is_valid]
    assert any(entry.event is None for entry in invalid)
    assert any(entry.event is not None and "id" not in entry.event for entry in invalid)
    assert any(entry.event is not None and "id" in entry.event for entry in invalid), "no nonsense time"
    assert len(invalid) < 100


def test_one_subject_belongs_to_no_customer(catalog: Catalog, events: list[dict[str, Any]]) -> None:
    assert {e["subject"] for e in events} - set(catalog.customer_of_subject) == {"trial-01"}


def test_some_usage_lies_outside_every_subscription(events: list[dict[str, Any]]) -> None:
    of_seven = min(dt.datetime.fromisoformat(e["time"]) for e in events if e["subject"] == "cust-07/main")
    assert of_seven < dt.datetime(2026, 8, 15, 13, 22, 7, tzinfo=dt.UTC)


def test_dimension_values_are_null_or_absent_now_and_then(events: list[dict[str, Any]]) -> None:
    requests = [event["data"] for event in events if event["type"] == "api.request"]
    assert sum("region" not in data for data in requests) > 100
    assert sum(data.get("region", "") is None for data in requests) > 100
    assert any("type" not in event["data"] for event in events if event["type"] == "model.usage")


def test_numbers_come_as_numbers_and_as_text_exact_to_six_places(events: list[dict[str, Any]]) -> None:
    tokens = Counter(type(e["data"]["tokens"]).__name__ for e in events if e["type"] == "model.usage")
    assert tokens["int"] > 10 * tokens["str"] > 0
    gb_hours = [e["data"]["gb_hours"] for e in events if e["type"] == "storage.snapshot"]
    assert Counter(type(value).__name__ for value in gb_hours).keys() == {"Decimal", "str"}
    assert {len(str(value).partition(".")[2]) for value in gb_hours} == {6}


def test_times_are_utc_some_written_with_an_offset(events: list[dict[str, Any]]) -> None:
    endings = Counter("offset" if event["time"].endswith("+02:00") else event["time"][-1] for event in events)
    assert endings.keys() == {"Z", "offset"}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    days = {"first_day": FIRST_DAY, "last_day": FIRST_DAY + dt.timedelta(days=4), "customers": 3}
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    for folder, seed in ((one, 1), (two, 1), (other, 2)):
        write_events(folder, seed=seed, **days)  # type: ignore[arg-type]
    assert digests(one) == digests(two)
    assert digests(one) != digests(other)


def test_the_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Hash randomization differs from process to process; so might anything that follows a set's order."""
    program = (
        "import sys, pathlib, focus_assets.demo.company as c;"
        "c.sample_company(pathlib.Path(sys.argv[1]), days=3, customers=2)"
    )
    for name in ("one", "two"):
        environment = {"PYTHONHASHSEED": str(len(name) + ord(name[0]))}
        subprocess.run([sys.executable, "-c", program, tmp_path / name], check=True, env=environment)
    assert digests(tmp_path / "one" / "events") == digests(tmp_path / "two" / "events")


def test_the_bytes_are_those_of_every_other_machine(tmp_path: Path) -> None:
    """One file, one digest, on every supported Python; compressed files follow the machine's zlib."""
    sample_company(tmp_path, days=1, customers=3)
    assert digests(tmp_path / "events") == {
        "2026/08/2026-08-01.ndjson": "6d571a48a71409608fafd59ac3ca8289d89cbdae335c7b28168e13557e7a30ac"
    }


def test_a_small_company_has_the_same_events_as_the_whole_one(tmp_path: Path, found: list[Entry]) -> None:
    small = sample_company(tmp_path, days=4, customers=3)
    keep = {"cust-01", "cust-02", "cust-03", "trial-01"}
    last = dt.datetime.combine(small.last_day, dt.time(), dt.UTC) + dt.timedelta(days=1)
    of_the_whole = {
        (e["source"], e["id"])
        for e in first_of_each([entry for entry in found if entry.file_day <= small.last_day])
        if e["subject"].partition("/")[0] in keep
    }
    of_the_small = first_of_each(list(entries(small.events.folder)))
    late = {(e["source"], e["id"]) for e in of_the_small} - of_the_whole
    assert len(late) < 20, "what comes late after the last day comes in time in the small company"
    assert of_the_whole <= {(e["source"], e["id"]) for e in of_the_small}
    assert all(dt.datetime.fromisoformat(e["time"]) < last for e in of_the_small)
    assert small.events.late > 0
    assert small.events.duplicates > 0
    assert small.events.invalid >= 3


def test_a_small_company_has_a_configuration_of_its_own(tmp_path: Path) -> None:
    small = sample_company(tmp_path, days=4, customers=3)
    settings = Settings.load(small.config)
    catalog = settings.catalog
    assert list(catalog.customer) == ["cust-01", "cust-02", "cust-03"]
    assert settings.now() == dt.datetime(2026, 8, 5, 6, tzinfo=dt.UTC)
    assert any(cut.period.start.hour for day in DAYS[:4] for cut in slices_on(catalog.on(day), day))


def test_writing_again_touches_nothing(tmp_path: Path) -> None:
    before = sample_company(tmp_path, days=2, customers=1)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.is_file()}
    after = sample_company(tmp_path, days=2, customers=1)
    assert (before.events.changed, after.events.changed) == (True, False)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_killed_writer_leaves_nothing_half_and_the_next_one_clears_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_events(tmp_path / "whole", last_day=FIRST_DAY + dt.timedelta(days=2), customers=1)
    from focus_assets.demo import events

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    folder = tmp_path / "events"
    for moment in ("_write_file", "_contents"):
        with monkeypatch.context() as patch:
            patch.setattr(events, moment, killed)
            with pytest.raises(KeyboardInterrupt):
                write_events(folder, last_day=FIRST_DAY + dt.timedelta(days=2), customers=1)
        assert not folder.exists()
    write_events(folder, last_day=FIRST_DAY + dt.timedelta(days=2), customers=1)
    assert digests(folder) == digests(whole.folder)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith((".new", ".old"))] == []


def test_other_files_in_the_events_folder_are_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "mine.ndjson").write_text("{}\n")
    with pytest.raises(EventsFolderInUse, match=r"'mine\.ndjson'.*Nothing was written"):
        write_events(folder)
    assert digests(folder).keys() == {"mine.ndjson"}


def test_a_configuration_of_ones_own_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "focus.yaml").write_text("start_date: 2020-01-01\n")
    with pytest.raises(ConfigurationInUse, match="Nothing was written"):
        sample_company(tmp_path, days=1, customers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["focus.yaml"]

"""Layout profiles: where files lie, what is removed when, and that a reader of any manifest finds its files."""

import datetime as dt
import re
import shutil
from pathlib import Path

import pytest

from focus_assets.delivery import DeliveryRun, deliver, deliver_all, verify
from focus_assets.delivery.layout import layout_of, month_of_manifest, split_manifest_url
from focus_assets.delivery.manifest import Manifest
from focus_assets.delivery.put import remove_retired
from focus_assets.lake import open_store
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import row, write_day

AUGUST = "2026-08"
HOUR = dt.timedelta(hours=1)
SECOND = dt.date(2026, 8, 2)
LAYOUTS = ("hive", "aws", "finops-hubs")


def asking(destination: Destination, **keys: object) -> Destination:
    return Destination.model_validate(destination.model_dump(exclude_unset=True) | keys)


def names(destination: Destination) -> set[str]:
    root = Path(destination.url)
    return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}


def sound(destination: Destination) -> bool:
    found = verify(destination.url)
    assert [problem for each in found for problem in each.problems] == []
    return len(found) == 1


PATTERNS = {
    "hive": [
        r"billing_period=2026-08/manifest\.json",
        r"billing_period=2026-08/2026-08-0\d-[0-9a-f]{32}\.parquet",
        r"billing_period=2026-08/metadata-[0-9a-f]{32}\.json",
    ],
    "aws": [
        r"metadata/BILLING_PERIOD=2026-08/warehouse-Manifest\.json",
        r"data/BILLING_PERIOD=2026-08/2026-08-0\d-[0-9a-f]{32}\.parquet",
        r"metadata/BILLING_PERIOD=2026-08/metadata-[0-9a-f]{32}\.json",
    ],
    "finops-hubs": [
        r"Costs/2026/08/warehouse/manifest\.json",
        r"Costs/2026/08/warehouse/[0-9a-f]{32}__2026-08-0\d\.parquet",
        r"Costs/2026/08/warehouse/metadata-[0-9a-f]{32}\.json",
    ],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_puts_files_where_its_readers_look(lake, destination, layout):
    asked = asking(destination, layout=layout)

    result = deliver(lake, asked, AUGUST, DeliveryRun(NOW))

    allowed = [*PATTERNS[layout], r"metadata/schema-[0-9a-f-]{36}\.json"]
    found = names(asked)
    assert len(found) == 7
    assert [name for name in found if not any(re.fullmatch(each, name) for each in allowed)] == []
    assert sound(asked)
    assert verify(result.manifest_url)[0].manifest == result.manifest
    assert deliver(lake, asked, AUGUST, DeliveryRun(NOW + HOUR)).outcome == "unchanged"


@pytest.mark.parametrize("before", LAYOUTS)
@pytest.mark.parametrize("after", LAYOUTS)
def test_a_month_never_stands_in_two_layouts(lake, destination, before, after):
    """Of the first, which nothing would replace, other customers' rows would stay for good."""
    first = asking(destination, layout=before)
    narrowed = asking(destination, layout=after, customers=["acme"])
    manifest = deliver(lake, first, AUGUST, DeliveryRun(NOW)).manifest
    if before == after:
        assert (
            deliver(lake, narrowed, AUGUST, DeliveryRun(NOW)).manifest.supersedes == manifest.content_digest
        )
        return
    there = names(first)
    (failure,) = deliver_all(lake, [narrowed], AUGUST, DeliveryRun(NOW))
    assert f"in layout {before}" in str(failure.error)
    assert "Give the destination another URL" in str(failure.error)
    assert names(first) == there

    shutil.rmtree(destination.url)
    deliver(lake, narrowed, AUGUST, DeliveryRun(NOW))
    assert sound(narrowed)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_destination_of_another_name_does_not_share_a_url(lake, destination, layout):
    """With ``aws`` each would take the other's files for those that nothing refers to any more, and remove them."""
    asked = asking(destination, layout=layout)
    deliver(lake, asked, AUGUST, DeliveryRun(NOW))
    (result,) = deliver_all(lake, [asking(asked, name="renamed")], AUGUST, DeliveryRun(NOW))
    if layout == "finops-hubs":
        # A hub takes the months of many.
        assert [each.problems for each in verify(destination.url)] == [(), ()]
    else:
        assert "destination warehouse" in str(result.error)


def test_a_manifest_of_other_people_is_left_alone(lake, destination):
    theirs = Path(destination.url) / "metadata/BILLING_PERIOD=2026-08/costs-Manifest.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_text('{"executionId": "1"}')
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    assert theirs.read_text() == '{"executionId": "1"}'


def test_a_hub_s_files_of_one_delivery_share_an_id_and_each_delivery_has_another(lake, destination):
    asked = asking(destination, layout="finops-hubs")

    def ids(manifest: Manifest) -> set[str]:
        return {Path(file.path).name.partition("__")[0] for file in manifest.files}

    first = ids(deliver(lake, asked, AUGUST, DeliveryRun(NOW)).manifest)
    write_day(lake, SECOND, [row(SECOND, quantity=99)])
    second = deliver(lake, asked, AUGUST, DeliveryRun(NOW + HOUR)).manifest

    assert len(first) == len(ids(second)) == 1
    assert first != ids(second)
    # A hub replaces a whole folder: nothing of the delivery before stays in it.
    held = {name for name in names(asked) if name.endswith(".parquet")}
    assert held == {file.path for file in second.files}
    assert sound(asked)


@pytest.mark.parametrize("layout", ["hive", "aws"])
def test_files_of_the_manifest_before_stay_for_its_readers_and_go_after_the_grace_period(
    lake, destination, layout
):
    asked = asking(destination, layout=layout, keep_hours=24, focus_version="1.4")
    first = deliver(lake, asked, AUGUST, DeliveryRun(NOW)).manifest
    replaced = {first.files[1].path, first.focus_metadata.path}
    write_day(lake, SECOND, [row(SECOND, quantity=99)])

    second = deliver(lake, asked, AUGUST, DeliveryRun(NOW + HOUR)).manifest
    assert {file.path for file in second.retired} == replaced
    assert {file.since for file in second.retired} == {NOW + HOUR}
    assert replaced < names(asked)

    assert deliver(lake, asked, AUGUST, DeliveryRun(NOW + 24 * HOUR)).outcome == "unchanged"
    assert replaced < names(asked), "a day after it was written, not after it was replaced"

    write_day(lake, SECOND, [row(SECOND, quantity=100)])
    third = deliver(lake, asked, AUGUST, DeliveryRun(NOW + 20 * HOUR)).manifest
    assert {file.since for file in third.retired if file.path in replaced} == {NOW + HOUR}
    assert deliver(lake, asked, AUGUST, DeliveryRun(NOW + 25 * HOUR)).outcome == "unchanged"
    assert not replaced & names(asked)
    assert sound(asked)


def test_what_is_not_ours_is_never_removed(lake, destination):
    asked = asking(destination, keep_hours=0)
    deliver(lake, asked, AUGUST, DeliveryRun(NOW))
    root = Path(asked.url)
    theirs = [root / "billing_period=2026-08" / "notes.parquet", root / "notes.txt"]
    for file in theirs:
        file.write_text("mine")
    write_day(lake, SECOND, [row(SECOND, quantity=99)])

    manifest = deliver(lake, asked, AUGUST, DeliveryRun(NOW + HOUR)).manifest

    assert all(file.exists() for file in theirs)
    assert not [file for file in manifest.retired if "notes" in file.path]
    assert sound(asked)


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "billing_period=2026-07/2026-07-01-" + "0" * 32 + ".parquet",
        "billing_period=2026-08/manifest.json",
        "metadata/schema-00000000-0000-0000-0000-000000000000.json",
    ],
)
def test_a_manifest_that_somebody_edited_cannot_have_other_files_removed(lake, destination, path):
    manifest = deliver(lake, destination, AUGUST, DeliveryRun(NOW)).manifest
    since = manifest.generated_at
    edited = manifest.model_copy(
        update={"retired": ({"path": path, "since": since}, {"path": manifest.files[0].path, "since": since})}
    )
    edited = Manifest.model_validate_json(edited.model_dump_json(warnings=False))
    before = names(destination)

    gone = remove_retired(open_store(destination.url), edited, dt.timedelta(0), NOW + HOUR)

    assert gone == []
    assert names(destination) == before


def test_files_of_a_killed_delivery_that_nobody_refers_to_are_retired_by_the_next(lake, destination):
    deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    orphan = Path(destination.url) / f"billing_period=2026-08/2026-08-02-{'0' * 32}.parquet"
    orphan.write_bytes(b"half a delivery")
    write_day(lake, SECOND, [row(SECOND, quantity=99)])

    manifest = deliver(lake, destination, AUGUST, DeliveryRun(NOW + HOUR)).manifest

    assert f"billing_period=2026-08/{orphan.name}" in {file.path for file in manifest.retired}


def test_a_destination_that_keeps_versions_keeps_every_manifest_and_file(lake, destination):
    asked = asking(destination, mode="new_version", keep_hours=0)
    first = deliver(lake, asked, AUGUST, DeliveryRun(NOW)).manifest
    write_day(lake, SECOND, [row(SECOND, quantity=99)])
    second = deliver(lake, asked, AUGUST, DeliveryRun(NOW + HOUR)).manifest

    hive = layout_of("hive", "warehouse")
    for manifest in (first, second):
        copy = Path(asked.url) / hive.version_path(AUGUST, manifest.content_digest)
        assert Manifest.from_bytes(copy.read_bytes(), "copy") == manifest
        assert {file.path for file in manifest.files} < names(asked)
    assert second.supersedes == first.content_digest
    assert second.retired == ()
    assert sound(asked)


def test_a_version_whose_copy_was_lost_to_a_kill_is_kept_by_the_next_delivery(lake, destination):
    asked = asking(destination, mode="new_version")
    first = deliver(lake, asked, AUGUST, DeliveryRun(NOW)).manifest
    copy = Path(asked.url) / layout_of("hive", "warehouse").version_path(AUGUST, first.content_digest)
    copy.unlink()
    write_day(lake, SECOND, [row(SECOND, quantity=99)])

    deliver(lake, asked, AUGUST, DeliveryRun(NOW + HOUR))

    assert Manifest.from_bytes(copy.read_bytes(), "copy") == first


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_manifest_is_recognized_by_its_path_and_url(layout):
    path = layout_of(layout, "acme").manifest_path(AUGUST)
    assert month_of_manifest(path) == AUGUST
    assert split_manifest_url(f"s3://bucket/a/b/{path}") == ("s3://bucket/a/b", path)


@pytest.mark.parametrize(
    "path",
    ["manifest.json", "billing_period=2026-13/manifest.json", "x/billing_period=2026-08/manifest.json"],
)
def test_other_files_are_no_manifests(path):
    assert month_of_manifest(path) is None


def test_a_manifest_in_another_layout_s_place_is_found(lake, destination):
    result = deliver(lake, destination, AUGUST, DeliveryRun(NOW))
    elsewhere = Path(destination.url) / layout_of("aws", "warehouse").manifest_path(AUGUST)
    elsewhere.parent.mkdir(parents=True)
    Path(result.manifest_url).rename(elsewhere)

    [found] = verify(destination.url)

    assert "the manifest is one of layout hive for destination warehouse, elsewhere" in found.problems


def test_what_a_month_retired_is_removed_by_deliveries_of_later_months_too(lake, destination):
    asked = asking(destination, keep_hours=24)
    first = deliver(lake, asked, AUGUST, DeliveryRun(NOW)).manifest
    write_day(lake, SECOND, [row(SECOND, quantity=99)])
    deliver(lake, asked, AUGUST, DeliveryRun(NOW + HOUR))
    for day in [dt.date(2026, 8, n) for n in range(5, 32)] + [dt.date(2026, 9, 1)]:
        write_day(lake, day, [row(day)] if day.month == 9 else [])

    deliver_all(lake, [asked], "2026-09", DeliveryRun(NOW + 24 * HOUR))
    assert first.files[1].path in names(asked)
    deliver_all(lake, [asked], "2026-09", DeliveryRun(NOW + 25 * HOUR))

    assert first.files[1].path not in names(asked)
    assert [problem for found in verify(asked.url) for problem in found.problems] == []

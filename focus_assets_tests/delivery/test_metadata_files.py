"""FOCUS's metadata beside the delivered files: what it says, when it changes, and that verify compares it."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from focus_assets.delivery import DeliveryRun, Provider, deliver, verify
from focus_assets.delivery.layout import layout_of, schema_path
from focus_assets.delivery.manifest import Generator, Manifest, canonical_json
from focus_assets.focus.schema import version_schema
from focus_assets.lake import ConditionFailed, Lake, open_store
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import at, days, row, write_day

AUGUST = "2026-08"
HIVE = layout_of("hive", "warehouse")
LATER = NOW + dt.timedelta(days=1)
ACME = Provider("Acme", ("acme/",))


@pytest.fixture
def newest(destination: Destination) -> Destination:
    return destination.model_copy(update={"focus_version": "1.4"})


def said(destination: Destination, path: str) -> dict[str, Any]:
    return json.loads((Path(destination.url) / path).read_text())


def problems(destination: Destination) -> str:
    return "\n".join(problem for found in verify(destination.url) for problem in found.problems)


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.3", "1.4"])
def test_the_schema_lies_beside_the_data_and_the_manifest_refers_to_it(lake, destination, version):
    asked = destination.model_copy(update={"focus_version": version})

    manifest = deliver(lake, asked, AUGUST, DeliveryRun(NOW, provider=ACME)).manifest

    schema = said(asked, manifest.focus_schema.path)
    assert schema["SchemaId"] == manifest.focus_schema.schema_id
    assert schema["FocusVersion"] == version
    assert schema["CreationDate"] == "2026-09-02T06:00:00Z"
    assert [entry["ColumnName"] for entry in schema["ColumnDefinition"]] == version_schema(version).names()
    assert schema["ColumnDefinition"][-1]["ColumnName"].startswith("x_")
    tags = next(entry for entry in schema["ColumnDefinition"] if entry["ColumnName"] == "Tags")
    assert tags["ProviderTagPrefixes"] == ["acme/"]
    metadata = said(asked, manifest.focus_metadata.path)
    assert metadata["DataGenerator"] == {"DataGenerator": "Acme"}
    assert metadata["SchemaId"] == manifest.focus_schema.schema_id
    assert ("Recency" in metadata) == ("DatasetInstance" in metadata) == (version >= "1.3")


def test_recency_says_of_each_day_that_it_is_complete_and_that_the_month_goes_on(lake, newest):
    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest

    recency = said(newest, manifest.focus_metadata.path)["Recency"]
    assert recency["DatasetInstanceComplete"] is False
    assert [
        (s["TimeSectorStart"][:10], s["TimeSectorEnd"][:10], s["TimeSectorComplete"])
        for s in recency["TimeSectors"]
    ] == [
        ("2026-08-01", "2026-08-02", True),
        ("2026-08-02", "2026-08-03", True),
        ("2026-08-03", "2026-08-04", True),
        ("2026-08-04", "2026-08-05", True),
        ("2026-08-05", "2026-09-01", False),
    ]
    assert {s["TimeSectorLastUpdated"] for s in recency["TimeSectors"]} == {"2026-09-02T06:00:00Z"}


def test_a_month_of_which_every_billing_period_has_ended_is_complete(lake, newest):
    for day in days("2026-08-05", "2026-08-31"):
        write_day(lake, day, [row(day)])

    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest

    recency = said(newest, manifest.focus_metadata.path)["Recency"]
    assert recency["DatasetInstanceComplete"] is True
    assert len(recency["TimeSectors"]) == 31


def test_a_month_with_a_period_that_ends_in_the_next_is_not_complete_before(lake, newest):
    for day in days("2026-08-05", "2026-08-31"):
        begun = {"BillingPeriodStart": at(dt.date(2026, 8, 15))} if day.day >= 15 else {}
        write_day(lake, day, [row(day, **begun)])

    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest

    last = said(newest, manifest.focus_metadata.path)["Recency"]["TimeSectors"][-1]
    assert (last["TimeSectorStart"], last["TimeSectorEnd"]) == (
        "2026-09-01T00:00:00Z",
        "2026-09-15T00:00:00Z",
    )
    assert last["TimeSectorComplete"] is False


def test_only_the_restated_day_is_updated_later_and_the_schema_keeps_its_creation_date(lake, newest):
    first = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest
    second_day = dt.date(2026, 8, 2)
    write_day(lake, second_day, [row(second_day, quantity=99)])

    second = deliver(lake, newest, AUGUST, DeliveryRun(LATER)).manifest

    assert {d.day.day: d.last_updated for d in second.days} == {1: NOW, 2: LATER, 3: NOW, 4: NOW}
    assert second.focus_schema == first.focus_schema
    assert second.focus_metadata.path != first.focus_metadata.path
    assert said(newest, second.focus_metadata.path)["Recency"]["DatasetInstanceLastUpdated"] == (
        "2026-09-03T06:00:00Z"
    )
    # The metadata of the delivery before is still whole for who reads its manifest.
    assert said(newest, first.focus_metadata.path)["Recency"]["DatasetInstanceLastUpdated"] == (
        "2026-09-02T06:00:00Z"
    )
    assert problems(newest) == ""


def test_months_of_a_destination_share_one_schema(lake, newest):
    for day in [*days("2026-08-05", "2026-08-31"), dt.date(2026, 9, 1)]:
        write_day(lake, day, [row(day)])

    august = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest
    september = deliver(lake, newest, "2026-09", DeliveryRun(LATER)).manifest

    assert september.focus_schema == august.focus_schema
    assert september.focus_schema.created_at == NOW
    assert problems(newest) == ""


def test_another_provider_or_version_of_this_program_is_another_schema(lake, newest, monkeypatch):
    first = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest
    prefixed = deliver(lake, newest, AUGUST, DeliveryRun(LATER, provider=ACME)).manifest
    other = Generator(name="focus-assets", version="99.0")
    monkeypatch.setattr(Generator, "this", classmethod(lambda _: other))
    later = deliver(lake, newest, AUGUST, DeliveryRun(LATER, provider=ACME)).manifest

    ids = [each.focus_schema.schema_id for each in (first, prefixed, later)]
    assert len(set(ids)) == 3
    assert problems(newest) == ""


@pytest.mark.parametrize("which", ["focus_schema", "focus_metadata"])
def test_metadata_that_vanished_or_was_damaged_is_found_and_put_back_as_it_was(lake, newest, which):
    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest
    file = Path(newest.url) / getattr(manifest, which).path
    before = file.read_bytes()
    for damage in (file.unlink, lambda: file.write_text('{"SchemaId": "none of ours"}')):
        damage()
        assert str(file.relative_to(newest.url)) in problems(newest)

        again = deliver(lake, newest, AUGUST, DeliveryRun(LATER))

        assert (again.outcome, again.files_written) == ("restored", 1)
        assert file.read_bytes() == before
        assert problems(newest) == ""


def test_of_two_deliveries_that_write_the_schema_at_once_the_second_takes_the_first_one_s(lake, newest):
    store = open_store(newest.url)

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def put(self, path: str, data: bytes, **options: Any) -> str:
            if path.startswith("metadata/"):
                store.put(path, data.replace(b"T06:00", b"T05:00"), if_absent=True)
                raise ConditionFailed("412")
            return store.put(path, data, **options)

    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW, opener=lambda _: Late())).manifest

    assert manifest.focus_schema.created_at == NOW - dt.timedelta(hours=1)
    assert problems(newest) == ""
    assert deliver(lake, newest, AUGUST, DeliveryRun(LATER)).outcome == "unchanged"


def resealed(destination: Destination, **changes: object) -> None:
    path = Path(destination.url) / f"billing_period={AUGUST}" / "manifest.json"
    manifest = Manifest.from_bytes(path.read_bytes(), "test")
    path.write_bytes(manifest.model_copy(update=changes).sealed().to_bytes())


def test_metadata_that_contradicts_the_manifest_is_found_though_its_digest_is_right(lake, newest):
    import hashlib

    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest
    metadata = said(newest, manifest.focus_metadata.path)
    metadata["Recency"]["TimeSectors"][2]["TimeSectorComplete"] = False
    data = canonical_json(metadata)
    sha256 = hashlib.sha256(data).hexdigest()
    (Path(newest.url) / HIVE.metadata_path(AUGUST, sha256)).write_bytes(data)
    resealed(
        newest,
        focus_metadata=manifest.focus_metadata.model_copy(
            update={"path": HIVE.metadata_path(AUGUST, sha256), "sha256": sha256, "bytes": len(data)}
        ),
    )

    assert "its complete time sectors are not the days of the manifest" in problems(newest)


def test_a_path_of_metadata_that_leads_elsewhere_is_found_and_not_followed(lake, newest):
    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest
    resealed(newest, focus_schema=manifest.focus_schema.model_copy(update={"path": "../../etc/passwd"}))

    assert problems(newest) == "../../etc/passwd: not where FOCUS metadata of this delivery lies"


def test_a_schema_id_cannot_be_a_path(lake, newest):
    manifest = deliver(lake, newest, AUGUST, DeliveryRun(NOW)).manifest
    stray = manifest.focus_schema.model_copy(update={"schema_id": "../../x", "path": schema_path("../../x")})
    resealed(newest, focus_schema=stray)

    assert "is no manifest of format 1: focus_schema.schema_id" in problems(newest)


def test_equal_lakes_at_the_same_instant_give_equal_metadata(lake, newest, tmp_path):
    other = newest.model_copy(update={"url": str(tmp_path / "other")})
    deliver(lake, newest, AUGUST, DeliveryRun(NOW))
    deliver(Lake.open(lake.url), other, AUGUST, DeliveryRun(NOW))

    def contents(folder: str) -> dict[str, bytes]:
        return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(Path(folder).rglob("*.json"))}

    assert contents(newest.url) == contents(other.url)

"""A delivery that was tampered with is never called good, and the finding says what is wrong where."""

import json
from pathlib import Path

import polars as pl
import pytest

from focus_assets.delivery import DeliveryRun, NothingDelivered, deliver, verify
from focus_assets.delivery.manifest import Manifest, json_schema
from focus_assets_tests.delivery.conftest import NOW

AUGUST = "2026-08"


@pytest.fixture
def bucket(lake, destination) -> Path:
    deliver(lake, destination.model_copy(update={"customers": ("acme",)}), AUGUST, DeliveryRun(NOW))
    return Path(destination.url)


def manifest_at(bucket: Path) -> Path:
    return bucket / f"billing_period={AUGUST}" / "manifest.json"


def problems(bucket: Path) -> str:
    return "\n".join(problem for found in verify(str(bucket)) for problem in found.problems)


def resealed(bucket: Path, **changes: object) -> None:
    """Change the manifest as someone would who also renews its digest."""
    manifest = Manifest.from_bytes(manifest_at(bucket).read_bytes(), "test")
    manifest_at(bucket).write_bytes(manifest.model_copy(update=changes).sealed().to_bytes())


def test_an_untouched_delivery_has_no_problems_and_can_be_named_by_its_manifest(bucket):
    assert problems(bucket) == ""
    assert verify(str(manifest_at(bucket)))[0].problems == ()
    assert verify(str(manifest_at(bucket)))[0].manifest.billing_month == AUGUST


def test_a_file_that_changed_by_one_byte_is_found(bucket):
    file = next(bucket.rglob("*.parquet"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    assert file.name in problems(bucket)


def test_a_file_that_is_gone_is_found(bucket):
    file = next(bucket.rglob("*.parquet"))
    file.unlink()

    assert f"{file.name}: missing" in problems(bucket)


def test_a_manifest_edited_by_hand_is_found(bucket):
    there = json.loads(manifest_at(bucket).read_text())
    there["totals"]["billed_cost"]["USD"] = "0.08"
    manifest_at(bucket).write_text(json.dumps(there))

    assert "its content digest differs" in problems(bucket)
    assert "billed_cost is {'USD': '0.07'}, the manifest says {'USD': '0.08'}" in problems(bucket)


def test_totals_that_are_not_those_of_the_rows_are_found_though_the_digest_is_renewed(bucket):
    manifest = Manifest.from_bytes(manifest_at(bucket).read_bytes(), "test")
    resealed(bucket, totals=manifest.totals.model_copy(update={"rows": 4}))

    assert "the totals say 4 rows, the files 3" in problems(bucket)


def test_a_day_said_complete_with_other_rows_than_its_files_is_found(bucket):
    manifest = Manifest.from_bytes(manifest_at(bucket).read_bytes(), "test")
    resealed(bucket, days=(manifest.days[0].model_copy(update={"rows": 2}), *manifest.days[1:]))

    assert "2026-08-01: complete with 2 rows, but its files have 1" in problems(bucket)


def test_a_path_that_leads_out_of_the_delivery_is_found_and_not_followed(bucket):
    manifest = Manifest.from_bytes(manifest_at(bucket).read_bytes(), "test")
    elsewhere = manifest.files[0].model_copy(update={"path": "../../etc/passwd"})
    resealed(bucket, files=(elsewhere, *manifest.files[1:]))

    assert problems(bucket).splitlines() == [
        "../../etc/passwd: not where the file of 2026-08-01 with this digest lies"
    ]


def test_rows_outside_the_scope_are_found(bucket):
    manifest = Manifest.from_bytes(manifest_at(bucket).read_bytes(), "test")
    resealed(bucket, scope=manifest.scope.model_copy(update={"customers": ("globex",)}))

    assert "1 rows are of customers outside the delivery's scope" in problems(bucket)


@pytest.mark.parametrize("type", ["decimal(38, 2)", "decimal(99, 2)", "timestamp(us, UTC)"])
def test_types_that_the_texts_of_a_csv_file_are_not_of_are_found_and_are_no_error(lake, destination, type):
    """A recipient would load SkuId, or lose it, as the manifest says; the digest is renewed."""
    as_csv = destination.model_copy(update={"format": "csv"})
    deliver(lake, as_csv, "2026-08", DeliveryRun(NOW))
    bucket = Path(as_csv.url)
    assert problems(bucket) == ""
    columns = json.loads(manifest_at(bucket).read_text())["columns"]
    resealed(
        bucket, columns=[{**each, "type": type} if each["name"] == "SkuId" else each for each in columns]
    )
    assert "2026-08-01" in problems(bucket)
    assert "not of the types that the manifest says" in problems(bucket)


def test_a_manifest_in_another_month_s_folder_is_found(bucket):
    (bucket / f"billing_period={AUGUST}").rename(bucket / "billing_period=2026-09")

    assert "the manifest in the folder of 2026-09 is that of 2026-08" in problems(bucket)


def test_a_url_without_a_delivery_is_an_error_not_a_pass(tmp_path):
    with pytest.raises(NothingDelivered, match="nothing was delivered there"):
        verify(str(tmp_path))


def test_the_manifest_is_canonical_and_has_no_run_id(bucket):
    data = manifest_at(bucket).read_bytes()
    there = json.loads(data)

    assert (
        data == (json.dumps(there, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
    )
    assert "run" not in " ".join(there)
    assert there["generated_at"] == "2026-09-02T06:00:00Z"
    assert there["generator"]["name"] == "focus-assets"


def test_the_json_schema_names_every_field_of_a_manifest(bucket):
    schema = json_schema()

    assert set(schema["required"]) == set(json.loads(manifest_at(bucket).read_text()))
    assert schema["additionalProperties"] is False


def test_the_committed_schema_is_that_of_the_manifest():
    committed = Path(__file__).parents[2] / "docs" / "manifest.schema.json"
    assert json.loads(committed.read_text()) == json_schema(), (
        "run: focus-assets schema --manifest > docs/manifest.schema.json"
    )


def test_any_engine_reads_the_delivered_files(bucket):
    import pyarrow.parquet as pq

    file = next(path for path in sorted(bucket.rglob("*.parquet")))
    table = pq.read_table(file, partitioning=None)

    assert str(table.schema.field("BilledCost").type) == "decimal128(38, 18)"
    assert table.num_rows == pl.read_parquet(file).height

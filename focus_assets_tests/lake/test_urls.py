from __future__ import annotations

from pathlib import Path

import pytest

from focus_assets.lake import Lake, StoreError, open_store
from focus_assets.lake.paths import day_of_record, partition_of_input
from focus_assets.lake.urls import place_of


@pytest.mark.parametrize("form", ["{0}", "file://{0}", "file://localhost{0}", "{0}/"])
def test_a_folder_may_be_named_in_several_ways(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path / "lake"))
    assert store.url == str(tmp_path / "lake")


def test_a_relative_folder_is_fixed_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("data/lake")
    monkeypatch.chdir("/")
    store.put("a", b"-")
    assert (tmp_path / "data" / "lake" / "a").exists()


def test_a_file_url_may_hold_escaped_characters(tmp_path: Path) -> None:
    assert open_store(f"file://{tmp_path}/with%20space").local_root == tmp_path / "with space"


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/a/b/"])
def test_a_bucket_url_loses_only_its_last_slash(url: str) -> None:
    assert Lake.open(url, options={"region": "us-east-1"}).url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is empty"),
        ("ftp://host/x", r"'ftp' are not supported; allowed: .*s3://bucket/prefix"),
        ("http://host/x", "'http' are not supported"),
        ("S3X://host/x", "not supported"),
        ("s3://", "no bucket name"),
        ("s3:///prefix", "no bucket name"),
        ("s3://bucket/a/../b", "no path inside a store"),
        ("s3://bucket/a//b", "no path inside a store"),
        ("s3://bucket/x?versionId=1", r"'\?' or '#'"),
        ("file:lake", "three slashes"),
        ("s3:/bucket/x", "two slashes after its scheme; allowed: .*s3://bucket/prefix"),
        ("gs:bucket/x", "two slashes after its scheme"),
        ("file://host/lake", "names the machine 'host'"),
    ],
)
def test_other_urls_are_refused_with_what_is_allowed(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        open_store(url)


@pytest.mark.parametrize("url", ["s3://AKIAKEY:s3cr3t@bucket/x", "ftp://AKIAKEY:s3cr3t@bucket"])
def test_a_url_with_credentials_is_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(StoreError, match="environment") as raised:
        open_store(url)
    assert "s3cr3t" not in str(raised.value)
    assert "AKIAKEY" not in str(raised.value)


def test_only_keys_of_partitions_name_partitions() -> None:
    assert partition_of_input("usage_totals/2026-08-03") is not None
    for key in (
        "source/events",
        "source/2026-08-03/x",
        "usage_totals/2026-13-01",
        "usage_totals",
        "/2026-08-03",
    ):
        assert partition_of_input(key) is None


def test_only_records_of_days_count_as_days() -> None:
    assert day_of_record("x/charge_date=2026-08-03/_record.json") is not None
    for path in (
        "x/charge_date=2026-08-03/part-0.parquet",
        "x/charge_date=nonsense/_record.json",
        "x/_record.json",
    ):
        assert day_of_record(path) is None


def test_a_link_that_leads_to_itself_is_an_error_that_names_the_url(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(StoreError, match="loop/bucket' leads nowhere"):
        place_of(str(tmp_path / "loop" / "bucket"))

"""Bad input through the real command line: said clearly, kept or refused whole, and never half written."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from focus_assets.cli import main
from focus_assets.cloudevents.file_days import MEMORY
from focus_assets.lake import Lake
from focus_assets.orchestration.in_process import CHAIN
from focus_assets_tests.orchestration.company import Company
from focus_assets_tests.s3_server import S3Bucket, S3Server


@dataclass(frozen=True)
class Done:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def small(tmp_path: Path) -> Company:
    """Two days of the company, so that a whole run takes seconds."""
    company = Company(tmp_path)
    company.configuration["as_of"] = dt.datetime(2026, 8, 3, tzinfo=dt.UTC)
    company.usage_of_ten_days()
    return company


@pytest.fixture
def run(small: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs ``focus-assets`` on the company, in this process; no command may ever show a traceback."""
    monkeypatch.chdir(small.root)
    monkeypatch.setenv("DAGSTER_HOME", str(small.root / "dagster"))

    def done(*arguments: str, configuration: dict[str, Any] | None = None) -> Done:
        text = yaml.safe_dump(configuration or small.configuration, sort_keys=False)
        (small.root / "focus.yaml").write_text(text)
        monkeypatch.setattr(sys, "argv", ["focus-assets", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        for stream in (said.out, said.err):
            assert "Traceback" not in stream
            assert "Stack Trace" not in stream
            assert 'File "' not in stream
        return Done(int(ended.value.code or 0), said.out, said.err)

    level = logging.getLogger("dagster").level
    with warnings.catch_warnings():
        yield done
    logging.getLogger("dagster").setLevel(level)


DEMO = ("demo", "--events", "events", "--config", "focus.yaml")


def require_whole(company: Company) -> None:
    """Every file of the lake belongs to a partition that agrees with its record, or is what deliveries keep."""
    root = company.root / "lake"
    if not root.is_dir():
        return
    lake = Lake.open(str(root))
    expected = {root / ".writer.lock", *root.glob(".put.lock"), *root.glob(MEMORY)}
    for dataset in CHAIN:
        for day in lake.days(dataset):
            (file,) = lake.files(dataset, [day])
            expected |= {file, file.with_name("_record.json")}
    kept = {root / "_ledger", root / "_delivered"}
    found = {path for path in root.rglob("*") if path.is_file() and kept.isdisjoint(path.parents)}
    assert found == expected


def nothing_written(company: Company) -> bool:
    return not any((company.root / name).exists() for name in ("lake", "bucket", "focus.duckdb"))


# Configuration


def test_an_unknown_meter_is_refused_with_its_place_and_the_meters_there_are(
    small: Company, run: Run
) -> None:
    small.configuration["features"][1]["meter"] = "reqests"
    done = run(*DEMO)
    assert done.code == 2
    assert "focus.yaml" in done.err
    assert "line 37, features[requests].meter: " in done.err
    assert "unknown meter 'reqests'; known meters: requests, seats, tokens" in done.err
    assert nothing_written(small)


def test_a_price_without_a_meter_is_refused_with_its_place_and_what_a_price_needs(
    small: Company, run: Run
) -> None:
    small.configuration["plans"][0]["rate_cards"].append(
        {"feature": "storage", "price": {"type": "unit", "amount": "1"}}
    )
    done = run(*DEMO)
    assert done.code == 2
    assert "plans[basic].rate_cards[storage].feature: " in done.err
    assert "unknown feature 'storage': a price needs a feature, and a feature a meter" in done.err
    assert "known features: requests, seats, tokens" in done.err
    assert nothing_written(small)


def test_a_customer_that_stands_twice_is_refused(small: Company, run: Run) -> None:
    small.configuration["customers"].append({"key": "bob"})
    done = run(*DEMO)
    assert done.code == 2
    assert "customers[bob]: " in done.err
    assert "customer 'bob' stands 2 times; a second version needs a valid_from of its own" in done.err
    assert nothing_written(small)


def test_every_problem_of_a_configuration_is_told_at_once(small: Company, run: Run) -> None:
    small.configuration["features"][1]["meter"] = "reqests"
    small.configuration["customers"].append({"key": "bob"})
    done = run(*DEMO)
    assert "unknown meter" in done.err
    assert "stands 2 times" in done.err


def test_a_required_dimension_that_nobody_set_stops_the_run_before_anything_is_written(
    small: Company, run: Run
) -> None:
    del small.configuration["defaults"]["dimensions"]["ServiceCategory"]
    done = run(*DEMO)
    assert done.code == 2
    assert "ServiceCategory" in done.err
    assert "tokens" in done.err
    assert list((small.root / "lake").rglob("*.parquet")) == []


# Events


def test_events_before_the_first_day_and_one_odd_region_neither_stop_a_run_nor_go_unsaid(
    small: Company, run: Run
) -> None:
    small.configuration["meters"][0]["group_by"]["region"] = "$.region"
    small.configuration["meters"][0]["dimensions"] = {"RegionId": {"dimension": "region"}}
    small.event("2026-07-31T10:00:00Z", "ann-1", tokens=1)
    small.event("2026-08-01T10:00:00Z", "ann-1", tokens=1, region="N/A")
    small.event("2026-08-01T10:00:00Z", "ann-1", tokens=1, region="eu-west-1")
    for path in (small.root / "events").iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    done = run(*DEMO)
    assert done.code == 0, done.err
    assert "besides 1 before start_date (2026-08-01)" in " ".join(done.out.split())
    regions = small.lake.scan("focus_cost_and_usage", [dt.date(2026, 8, 1)]).select("RegionId").collect()
    assert set(regions["RegionId"]) == {None, "eu-west-1"}


def test_events_that_are_none_are_kept_with_file_line_and_reason_and_the_rest_is_billed(
    small: Company, run: Run
) -> None:
    good = json.loads((small.root / "events" / "2026-08-01.ndjson").read_text().splitlines()[0])
    without_id = {key: value for key, value in good.items() if key != "id"}
    small.line("2026-08-01.ndjson", json.dumps(without_id))
    small.line("2026-08-01.ndjson", '{"specversion": "1.0", "id": "half')
    small.line("more/2026-08-01-notes.ndjson", "Dear colleague, please find the usage attached.")
    whole = gzip.compress(json.dumps({**good, "id": "packed"}).encode() * 400, mtime=0)
    (small.root / "events" / "more" / "2026-08-01-cut.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    done = run(*DEMO)
    assert done.code == 0
    assert "4 quarantined with the reason" in " ".join(done.out.split())
    assert "no_event_quarantined" in done.out

    asked = run(
        "sql", "--format", "json", "select file, line, reason from quarantined_events order by file, line"
    )
    found = {(row["file"], row["line"]): row["reason"] for row in json.loads(asked.out)}
    assert "id" in found["2026-08-01.ndjson", 5]
    assert "JSON" in found["2026-08-01.ndjson", 6]
    assert "JSON" in found["more/2026-08-01-notes.ndjson", 1]
    (cut,) = [reason for (file, _), reason in found.items() if file == "more/2026-08-01-cut.ndjson.gz"]
    assert "cut" in cut or "end" in cut or "truncated" in cut
    assert len(found) == 4
    # ann is billed as if they were not there: 60 tokens at 0.10, 4 requests at 0.01, 3 seats at 5.
    assert small.cost("ann", "2026-08-01", "2026-08-02") == Decimal("21.04")
    require_whole(small)


def test_a_folder_of_events_that_does_not_exist_is_an_error_not_a_day_without_usage(
    small: Company, run: Run
) -> None:
    done = run("demo", "--events", "evnets", "--config", "focus.yaml")
    assert done.code == 2
    assert "evnets" in done.err
    assert not list((small.root / "lake").rglob("*.parquet"))


# Days


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-07-31", "2026-08-01"), ("2026-08-02", "2026-08-03"), ("2026-08-02", "2026-08-01")],
    ids=["before the start date", "not over yet", "the wrong way round"],
)
def test_days_that_cannot_run_are_refused_with_those_that_can(
    small: Company, run: Run, first: str, last: str
) -> None:
    done = run("materialize", "--from", first, "--to", last)
    assert done.code == 2
    assert f"{first} to {last} are not whole days from start_date on" in done.err
    assert "allowed: 2026-08-01 to 2026-08-02. Nothing was written." in done.err
    assert not list((small.root / "lake").rglob("*.parquet"))


# The lake


def test_a_lake_that_is_a_file_is_refused_and_left_alone(small: Company, run: Run) -> None:
    (small.root / "lake").write_text("my notes")
    done = run(*DEMO)
    assert done.code == 2
    assert str(small.root / "lake") in done.err
    assert (small.root / "lake").read_text() == "my notes"
    assert not (small.root / "bucket").exists()


def test_a_dataset_that_is_a_file_is_refused_before_anything_runs(small: Company, run: Run) -> None:
    (small.root / "lake").mkdir()
    (small.root / "lake" / "usage_totals").write_text("my notes")
    done = run(*DEMO)
    assert done.code == 2
    assert f"{small.root}/lake/usage_totals" in done.err
    assert "is a file where a folder is needed" in done.err
    assert not list((small.root / "lake").rglob("*.parquet"))


def test_a_day_that_cannot_be_written_stops_the_run_with_its_place_and_leaves_whole_days(
    small: Company, run: Run
) -> None:
    in_the_way = small.root / "lake" / "usage_totals" / "charge_date=2026-08-02" / "part-0.parquet" / "notes"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("my notes")
    done = run(*DEMO)
    assert done.code == 2
    assert "The run of 2026-08-01 to 2026-08-02 did not succeed" in done.err
    assert str(in_the_way.parent) in done.err
    assert "Name a folder, or remove what lies there." in done.err
    assert len(small.lake.days("normalized_usage")) == 2
    assert len(small.lake.days("usage_totals")) == 1
    assert small.lake.days("focus_cost_and_usage") == []

    in_the_way.unlink()
    in_the_way.parent.rmdir()
    require_whole(small)
    assert run(*DEMO).code == 0
    require_whole(small)


HOLDER = """
import sys, time
from focus_assets.lake import Lake
with Lake.open(sys.argv[1]).writer("backfill of somebody else"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_told_who_writes_and_writes_nothing(small: Company, run: Run) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(small.root / "lake")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = run(*DEMO)
        assert done.code == 2
        assert "is being written by backfill of somebody else" in done.err
        assert "nothing was written" in done.err
        assert "A lake has one writer at a time" in done.err
        assert not list((small.root / "lake").rglob("*.parquet"))
    finally:
        holder.communicate("")


# Buckets


def test_a_destination_that_is_a_file_is_named_the_other_is_delivered_and_mending_it_is_enough(
    small: Company, run: Run
) -> None:
    (small.root / "bucket").mkdir()
    (small.root / "bucket" / "everyone").write_text("a file")
    done = run(*DEMO)
    assert done.code == 2
    assert "The delivery of 2026-08 did not succeed" in done.err
    assert f"destination everyone ({small.root}/bucket/everyone) refused" in done.err
    assert "only-bob" not in done.err
    assert small.delivered() == {"only-bob": ["delivered"]}
    require_whole(small)

    (small.root / "bucket" / "everyone").unlink()
    done = run(*DEMO)
    assert done.code == 0
    assert "Nothing changed" not in done.out
    assert small.delivered() == {"everyone": ["delivered"], "only-bob": ["delivered"]}


@pytest.mark.s3
def test_a_bucket_that_does_not_exist_is_named_and_the_lake_is_whole(
    small: Company, run: Run, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    small.configuration["destinations"][0] |= {
        "url": "s3://no-such-bucket/focus",
        "s3": {"endpoint_url": s3_server.endpoint},
    }
    done = run(*DEMO)
    assert done.code == 2
    assert "destination everyone (s3://no-such-bucket/focus) refused" in done.err
    assert small.delivered() == {"only-bob": ["delivered"]}
    require_whole(small)


@pytest.mark.s3
def test_a_lake_in_a_bucket_that_does_not_exist_is_refused(
    small: Company, run: Run, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    small.configuration["lake"] = {
        "url": f"s3://{s3_bucket.name}-elsewhere/lake",
        "s3": {"endpoint_url": s3_bucket.server.endpoint},
    }
    small.configuration["local_destinations"] = True
    done = run(*DEMO)
    assert done.code == 2
    assert f"s3://{s3_bucket.name}-elsewhere" in done.err
    assert not (small.root / "bucket").exists()

"""``focus-assets check`` on good and bad files of every kind it reads."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pyarrow.parquet as pq
import pytest

from focus_assets.cli import main
from focus_assets.focus.columns import VERSIONS
from focus_assets.focus.project import project
from focus_assets.lake import open_store
from focus_assets_tests.focus.other_samples import clean_rows
from focus_assets_tests.focus.sample import ROWS, clean
from focus_assets_tests.s3_server import S3Bucket


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Check = Callable[..., Done]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    def done(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["focus-assets", "check", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return done


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as CSV says it: instants in FOCUS's notation."""
    return frame.with_columns(
        pl.col(name).dt.to_string("%Y-%m-%dT%H:%M:%SZ")
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime)
    )


def good(version: str = "1.2", **changes: dict[str, object]) -> pl.DataFrame:
    return project(clean(**changes), version).collect()


def violated(done: Done) -> set[str]:
    return {rule["id"] for rule in json.loads(done.stdout)["rules"] if rule["outcome"] == "violated"}


def refused(done: Done) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("focus-assets: ")
    return done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clean_parquet_file_exits_0(tmp_path: Path, check: Check, version: str) -> None:
    good(version).write_parquet(tmp_path / "rows.parquet")
    done = check(tmp_path / "rows.parquet", "--focus-version", version)
    assert (done.returncode, "Every rule holds." in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_the_version_is_told_from_the_columns(tmp_path: Path, check: Check, version: str) -> None:
    good(version).write_parquet(tmp_path / "rows.parquet")
    said = json.loads(check(tmp_path / "rows.parquet", "--format", "json").stdout)
    assert (said["focus_version"], said["version_detected"]) == (version, True)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_clean_csv_file_exits_0(tmp_path: Path, check: Check, packed: bool) -> None:
    text = as_text(good()).write_csv().encode()
    path = tmp_path / ("rows.csv.gz" if packed else "rows.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    done = check(path)
    assert done.returncode == 0, done.stdout
    assert f"{len(ROWS)} rows" in done.stdout


def test_a_violation_exits_1_and_shows_the_row(tmp_path: Path, check: Check) -> None:
    good(storage={"ListCost": Decimal(7)}).write_parquet(tmp_path / "rows.parquet")
    done = check(tmp_path / "rows.parquet", "--format", "json")
    assert done.returncode == 1
    assert violated(done) == {"costs.ListCost_product"}
    [rule] = [r for r in json.loads(done.stdout)["rules"] if r["outcome"] == "violated"]
    assert (rule["violations"], rule["examples"][0]["row"], rule["examples"][0]["ListCost"]) == (1, 4, "7")


def test_a_recommendation_that_is_not_followed_is_shown_and_exits_0(tmp_path: Path, check: Check) -> None:
    good(tax={"ChargeDescription": None}).write_parquet(tmp_path / "rows.parquet")
    done = check(tmp_path / "rows.parquet")
    assert done.returncode == 0
    assert "not followed  nulls.ChargeDescription  1 row" in done.stdout


def test_in_csv_each_cell_out_of_notation_is_one_violation_of_its_own_rule_alone(
    tmp_path: Path, check: Check
) -> None:
    rows = as_text(good()).with_columns(pl.col("BilledCost", "ListUnitPrice").cast(pl.String))
    first = pl.int_range(pl.len()) == 0
    bad = rows.with_columns(
        BilledCost=pl.when(first).then(pl.lit("1,000")).otherwise("BilledCost"),
        ListUnitPrice=pl.when(first).then(pl.lit("EUR 0.03")).otherwise("ListUnitPrice"),
        ChargePeriodStart=pl.when(first).then(pl.lit("10/3/26")).otherwise("ChargePeriodStart"),
    )
    bad.write_csv(tmp_path / "rows.csv")
    done = check(tmp_path / "rows.csv", "--format", "json")
    assert done.returncode == 1
    assert violated(done) == {"formats.BilledCost", "formats.ListUnitPrice", "formats.ChargePeriodStart"}
    assert '"ChargePeriodStart": "10/3/26"' in done.stdout


def test_in_csv_a_plus_sign_is_a_violation_though_the_number_is_read(tmp_path: Path, check: Check) -> None:
    rows = as_text(good()).with_columns(pl.format("+{}", "ConsumedQuantity").alias("ConsumedQuantity"))
    rows.write_csv(tmp_path / "rows.csv")
    assert violated(check(tmp_path / "rows.csv", "--format", "json")) == {"formats.ConsumedQuantity"}


def test_floats_are_compared_with_the_stated_tolerance_and_the_report_says_so(
    tmp_path: Path, check: Check
) -> None:
    numbers = [name for name, dtype in good().schema.items() if isinstance(dtype, pl.Decimal)]
    good().with_columns(pl.col(numbers).cast(pl.Float64)).write_parquet(tmp_path / "rows.parquet")
    done = check(tmp_path / "rows.parquet")
    assert done.returncode == 0, done.stdout
    assert "Kept as floats: BilledCost" in done.stdout
    off = good(tier_1={"ListCost": Decimal("0.045001")})
    off.with_columns(pl.col(numbers).cast(pl.Float64)).write_parquet(tmp_path / "off.parquet")
    assert violated(check(tmp_path / "off.parquet", "--format", "json")) == {"costs.ListCost_product"}


def test_decimals_of_fewer_places_are_compared_to_their_last_place(tmp_path: Path, check: Check) -> None:
    def stored(frame: pl.DataFrame) -> pl.DataFrame:
        # 333.3333 of 1000 at 0.0333 is 0.0111 to four places.
        return frame.with_columns(pl.col("ListCost", "ContractedCost").cast(pl.Decimal(20, 4)))

    stored(good()).write_parquet(tmp_path / "rows.parquet")
    assert check(tmp_path / "rows.parquet").returncode == 0
    stored(good(tier_1={"ListCost": Decimal("0.0451")})).write_parquet(tmp_path / "off.parquet")
    assert violated(check(tmp_path / "off.parquet", "--format", "json")) == {"costs.ListCost_product"}


def test_instants_without_zone_or_of_another_zone_are_read_as_utc_with_a_note(
    tmp_path: Path, check: Check
) -> None:
    good().with_columns(
        pl.col("ChargePeriodStart", "ChargePeriodEnd").dt.replace_time_zone(None).cast(pl.Datetime("ns")),
        pl.col("BillingPeriodStart", "BillingPeriodEnd").dt.convert_time_zone("Europe/Berlin"),
    ).write_parquet(tmp_path / "rows.parquet")
    done = check(tmp_path / "rows.parquet")
    assert done.returncode == 0, done.stdout
    assert "Without a time zone, read as UTC: ChargePeriodEnd, ChargePeriodStart." in done.stdout
    assert "converted to UTC: BillingPeriodEnd, BillingPeriodStart." in done.stdout


def test_numbers_as_text_in_parquet_break_the_rule_of_their_type_and_no_other(
    tmp_path: Path, check: Check
) -> None:
    good().with_columns(pl.col("BilledCost").cast(pl.String)).write_parquet(tmp_path / "rows.parquet")
    assert violated(check(tmp_path / "rows.parquet", "--format", "json")) == {"types.BilledCost"}


def test_a_folder_is_one_table_and_examples_say_which_file(tmp_path: Path, check: Check) -> None:
    good().write_parquet(tmp_path / "a.parquet")
    (tmp_path / "day=2").mkdir()
    again = good(storage={"Tags": "[]"}).with_columns(pl.format("{}-b", "x_ChargeId").alias("x_ChargeId"))
    again.write_parquet(tmp_path / "day=2" / "b.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "manifest.json").write_text("{}")
    done = check(tmp_path, "--format", "json")
    said = json.loads(done.stdout)
    assert (said["rows"], violated(done)) == (2 * len(ROWS), {"key_values.Tags_flat"})
    [example] = next(r for r in said["rules"] if r["id"] == "key_values.Tags_flat")["examples"]
    assert (example["file"].endswith("b.parquet"), example["row"]) == (True, 4)


def test_a_row_twice_is_found_across_files(tmp_path: Path, check: Check) -> None:
    good().write_parquet(tmp_path / "a.parquet")
    good().head(2).write_parquet(tmp_path / "b.parquet")
    done = check(tmp_path / "a.parquet", tmp_path / "b.parquet", "--format", "json")
    assert violated(done) == {"charges.duplicate"}
    rule = next(r for r in json.loads(done.stdout)["rules"] if r["id"] == "charges.duplicate")
    assert (rule["violations"], [e["times"] for e in rule["examples"]]) == (2, [2, 2])


def test_row_groups_are_one_table(tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("focus_assets.focus.files.columnar.PART_ROWS", 4)
    frame = pl.concat([good(), good(storage={"SkuId": "other"}).head(4).tail(1)])
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=3)
    done = check(tmp_path / "rows.parquet", "--format", "json")
    assert violated(done) == {"sku.SkuPriceId_SkuId"}


def test_no_more_rows_are_shown_than_asked_for(tmp_path: Path, check: Check) -> None:
    good().with_columns(pl.lit("[]").alias("Tags")).write_parquet(tmp_path / "rows.parquet")
    done = check(tmp_path / "rows.parquet", "--format", "json", "--max-rows-shown", 3)
    rule = next(r for r in json.loads(done.stdout)["rules"] if r["id"] == "key_values.Tags_flat")
    assert (rule["violations"], len(rule["examples"])) == (len(ROWS), 3)


def test_junit_has_a_test_case_per_rule_and_a_failure_per_violated_one(tmp_path: Path, check: Check) -> None:
    good(storage={"Tags": '{"a":\x00}'}, tax={"SkuPriceId": "a & <b>"}).write_parquet(
        tmp_path / "rows.parquet"
    )
    done = check(tmp_path / "rows.parquet", "--format", "junit")
    suites = ET.fromstring(done.stdout)
    assert int(suites.attrib["failures"]) == 2 == len(suites.findall(".//failure"))
    assert int(suites.attrib["tests"]) == len(suites.findall(".//testcase")) > 200


def test_json_stays_json_where_a_float_is_infinite_or_no_number(tmp_path: Path, check: Check) -> None:
    costs = pl.Series("BilledCost", [float("inf"), float("nan")] + [1.5] * (len(ROWS) - 2))
    good().with_columns(costs).write_parquet(tmp_path / "rows.parquet")
    said = json.loads(check(tmp_path / "rows.parquet", "--format", "json").stdout, parse_constant=pytest.fail)
    [rule] = [rule for rule in said["rules"] if rule["id"] == "formats.BilledCost"]
    assert [example["BilledCost"] for example in rule["examples"]] == ["inf", "nan"]


def test_what_a_terminal_would_obey_is_shown_and_not_sent(tmp_path: Path, check: Check) -> None:
    red = "usage\x1b[31m\r\u202e"
    good(storage={"ChargeCategory": red}).write_parquet(tmp_path / "rows.parquet")
    said = check(tmp_path / "rows.parquet").stdout
    assert "usage\\x1b[31m\\r\\u202e" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_the_page_is_self_contained_and_escapes_what_files_say(tmp_path: Path, check: Check) -> None:
    good(storage={"Tags": "<script>alert(1)</script>"}).write_parquet(tmp_path / "rows.parquet")
    done = check(tmp_path / "rows.parquet", "--format", "html")
    assert done.returncode == 1
    assert "&lt;script&gt;" in done.stdout
    for loaded in ("<script", "src=", "http://", "https://", "@import", "url("):
        assert loaded not in done.stdout


def test_invoices_are_compared_with_invoice_detail_where_it_is_given(tmp_path: Path, check: Check) -> None:
    good(tax={"InvoiceId": "INV-1"}).write_parquet(tmp_path / "rows.parquet")
    for billed, found in (
        ("10.20", set[str]()),
        ("10.30", {"invoices.BilledCost_of_InvoiceDetail"}),
    ):
        lines = clean_rows("invoice-detail", BilledCost=Decimal(billed)).collect().head(1)
        lines.write_parquet(tmp_path / "detail.parquet")
        arguments = ("--invoice-detail", tmp_path / "detail.parquet", "--format", "json")
        done = check(tmp_path / "rows.parquet", *arguments)
        assert violated(done) == found
    assert "is no Invoice Detail" in refused(
        check(tmp_path / "rows.parquet", "--invoice-detail", tmp_path / "rows.parquet")
    )


# Files that cannot be used: a sentence and exit 2.


def test_a_truncated_parquet_file_is_refused(tmp_path: Path, check: Check) -> None:
    good().write_parquet(tmp_path / "whole.parquet")
    data = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    assert "is no whole Parquet file" in refused(check(tmp_path / "cut.parquet"))


def test_a_parquet_file_with_damaged_pages_is_refused(tmp_path: Path, check: Check) -> None:
    good().write_parquet(tmp_path / "rows.parquet")
    data = bytearray((tmp_path / "rows.parquet").read_bytes())
    data[10:4000] = b"\xff" * 3990
    (tmp_path / "rows.parquet").write_bytes(data)
    assert "could not be read" in refused(check(tmp_path / "rows.parquet"))


def damaged_page(path: Path, *, size: int | None = None, negative: bool = False) -> None:
    """Say in the head of a column's page of data that it has ``size`` bytes, or a negative number of values."""
    group = pq.read_metadata(path).row_group(0)
    chunks = {chunk.path_in_schema: chunk for chunk in map(group.column, range(group.num_columns))}
    data = bytearray(path.read_bytes())
    # Between the size and the number of values: a struct begins, whose first field is a number (Thrift).
    between = data.index(b",\x15", chunks["SubAccountId"].data_page_offset)
    if size is not None:
        data[between - 1] = size
    if negative:
        data[between + 2] |= 1
    path.write_bytes(data)


def test_a_parquet_file_at_which_polars_panics_is_refused(tmp_path: Path, check: Check) -> None:
    good().write_parquet(tmp_path / "rows.parquet", compression="uncompressed")
    damaged_page(tmp_path / "rows.parquet", size=0)
    assert "A file is most likely damaged" in refused(check(tmp_path / "rows.parquet"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is made for it here")
def test_a_parquet_file_that_ends_the_process_that_reads_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    good().write_parquet(path)
    damaged_page(path, negative=True)  # Polars asks for more memory than there is, and Rust ends the process
    done = subprocess.run(
        [sys.executable, "-c", "from focus_assets.cli import main; main()", "check", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = refused(Done(done.returncode, done.stdout, done.stderr))
    assert said.startswith(
        f"focus-assets: check {path}: what reads the files was ended by SIGABRT (memory allocation"
    )
    assert said.endswith("A file is damaged, or there is not enough memory for it. Nothing was checked.\n")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.csv.gz"])
def test_an_empty_file_is_refused(tmp_path: Path, check: Check, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert "is empty" in refused(check(tmp_path / name))


def test_wrong_types_are_refused(tmp_path: Path, check: Check) -> None:
    good().with_columns(
        pl.lit(True).alias("BilledCost"),
        pl.lit(7).alias("ChargePeriodStart"),
        pl.lit([1]).alias("ProviderName"),
    ).write_parquet(tmp_path / "rows.parquet")
    said = refused(check(tmp_path / "rows.parquet"))
    assert "BilledCost is stored as Boolean and must be a number" in said
    assert "ChargePeriodStart" in said
    assert "ProviderName" in said


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_cost_that_is_never_a_number_is_refused(tmp_path: Path, check: Check, ending: str) -> None:
    frame = as_text(good()).with_columns(pl.lit("abc").alias("BilledCost"))
    path = tmp_path / f"rows.{ending}"
    frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)
    assert "not one value of BilledCost is a number" in refused(check(path))


def test_ten_thousand_columns_are_refused(tmp_path: Path, check: Check) -> None:
    wide = pl.DataFrame({f"column_{number}": [1] for number in range(10_000)})
    wide.write_parquet(tmp_path / "rows.parquet")
    assert "10,000 columns" in refused(check(tmp_path / "rows.parquet"))
    wide.write_csv(tmp_path / "rows.csv")
    assert "10,000 columns" in refused(check(tmp_path / "rows.csv"))


def test_a_missing_quote_is_refused(tmp_path: Path, check: Check) -> None:
    text = as_text(good()).write_csv(quote_style="non_numeric")
    (tmp_path / "rows.csv").write_text(text.replace('"Acme"', '"Acme', 1))
    assert "never closed" in refused(check(tmp_path / "rows.csv"))


def test_a_cut_csv_file_is_refused(tmp_path: Path, check: Check) -> None:
    text = as_text(good()).select(pl.exclude("Tags", "SkuPriceDetails")).write_csv()
    (tmp_path / "rows.csv").write_text(text[:-60])
    assert "is cut off" in refused(check(tmp_path / "rows.csv"))


def test_a_row_with_too_many_cells_is_refused(tmp_path: Path, check: Check) -> None:
    (tmp_path / "rows.csv").write_text("BilledCost,BillingCurrency\n1,EUR\n1,2,EUR\n")
    assert "is no CSV that can be read" in refused(check(tmp_path / "rows.csv"))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"BilledCost;BillingCurrency\n1;EUR\n", "commas"),
        (b"BilledCost,BillingAccountName\n1,Caf\xe9\n", "UTF-8"),
        (b"BilledCost,BilledCost\n1,2\n", "more than one column 'BilledCost'"),
        (bytes(range(256)) * 20, "neither CSV nor Parquet"),
        (b"\x1f\x8b\x08\x00broken", "damaged gzip"),
        (b"first,second\n1,2\n", "no column of the FOCUS dataset"),
    ],
    ids=["semicolons", "latin-1", "a column twice", "no text", "broken gzip", "other data"],
)
def test_what_is_no_focus_csv_is_refused(tmp_path: Path, check: Check, data: bytes, said: str) -> None:
    (tmp_path / "rows.csv").write_bytes(data)
    assert said in refused(check(tmp_path / "rows.csv"))


def test_nothing_there_is_refused(tmp_path: Path, check: Check) -> None:
    assert "there is no such file" in refused(check(tmp_path / "none.csv"))
    assert "holds no file" in refused(check(tmp_path))


def test_an_unknown_version_or_dataset_is_refused_with_the_known_ones(tmp_path: Path, check: Check) -> None:
    good().write_parquet(tmp_path / "rows.parquet")
    assert "1.0, 1.1, 1.2" in refused(check(tmp_path / "rows.parquet", "--focus-version", "2.0"))
    assert "cost-and-usage" in refused(check(tmp_path / "rows.parquet", "--dataset", "costs"))


def test_files_of_different_columns_are_refused(tmp_path: Path, check: Check) -> None:
    good().write_parquet(tmp_path / "a.parquet")
    good().drop("Tags").write_parquet(tmp_path / "b.parquet")
    assert "other columns" in refused(check(tmp_path))


def test_a_header_without_rows_is_a_clean_table(tmp_path: Path, check: Check) -> None:
    as_text(good()).head(0).write_csv(tmp_path / "rows.csv")
    assert check(tmp_path / "rows.csv").returncode == 0
    good().head(0).write_parquet(tmp_path / "rows.parquet")
    assert check(tmp_path / "rows.parquet").returncode == 0


def test_check_loads_neither_dagster_nor_a_cloud_sdk(tmp_path: Path) -> None:
    good().write_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys\nfrom focus_assets.cli import cli\n"
        "try:\n    cli(['check', 'rows.parquet'], standalone_mode=False)\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "slow = {'dagster', 'boto3', 'botocore', 'obstore', 'pandas', 'pydantic', 'duckdb'} & set(sys.modules)\n"
        "sys.exit(f'loaded {sorted(slow)}' if slow else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.s3
def test_an_object_and_a_prefix_of_a_bucket_are_checked_like_a_file_and_a_folder(
    check: Check, s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in s3_bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://{s3_bucket.name}/focus", s3_bucket.options)
    rows = good()
    for name, part in (("a.parquet", rows.head(5)), ("day=2/b.parquet", rows.slice(5))):
        part.write_parquet(tmp_path / "part.parquet")
        store.put_file(name, tmp_path / "part.parquet")
    store.put("manifest.json", b"{}")
    url = f"s3://{s3_bucket.name}/focus"
    whole = check(url)
    assert whole.returncode == 0, whole.stderr
    assert f"{rows.height} rows" in whole.stdout
    assert check(f"{url}/day=2/b.parquet").returncode == 0
    rows.with_columns(pl.lit("usage").alias("ChargeCategory")).write_parquet(tmp_path / "part.parquet")
    store.put_file("a.parquet", tmp_path / "part.parquet")
    assert check(url).returncode == 1
    missing = check(f"{url}/nothing")
    assert missing.returncode == 2
    assert "there is no such object, and nothing below it ends in" in missing.stderr


def test_progress_is_shown_to_a_person_and_to_nobody_else(
    tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    good().write_parquet(tmp_path / "rows.parquet")
    assert check(tmp_path / "rows.parquet").stderr == ""
    shown: list[int] = []

    class Bar:
        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def __init__(self, *_: object, **__: object) -> None:
            return None

        def add_task(self, _: str, *, total: int) -> int:
            shown.append(total)
            return 0

        def advance(self, _: int, counted: int) -> None:
            shown.append(counted)

    monkeypatch.setattr("rich.progress.Progress", Bar)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    check(tmp_path / "rows.parquet")
    total, *counted = shown
    assert total == sum(counted) == good().height


def manifest(files: list[str], retired: list[str]) -> bytes:
    return json.dumps(
        {"files": [{"path": path} for path in files], "retired": [{"path": path} for path in retired]}
    ).encode()


def test_files_that_a_manifest_has_retired_are_no_part_of_a_delivery(check: Check, tmp_path: Path) -> None:
    month = tmp_path / "billing_period=2026-08"
    month.mkdir()
    for name in ("day-1.parquet", "day-2.parquet"):
        good().write_parquet(month / name)
    assert "charges.duplicate" in violated(check(tmp_path, "--format", "json"))
    named = [f"billing_period=2026-08/day-{n}.parquet" for n in (1, 2)]
    (month / "manifest.json").write_bytes(manifest(named[1:], named[:1]))
    assert check(tmp_path).returncode == 0
    assert check(month).returncode == 0
    # What another manifest still delivers is not retired, and what a person names is looked at.
    (tmp_path / "metadata-Manifest.json").write_bytes(manifest(named[:1], []))
    assert "charges.duplicate" in violated(check(tmp_path, "--format", "json"))
    assert check(month / "day-1.parquet").returncode == 0


def test_a_folder_of_several_delivered_datasets_is_checked_as_the_one_that_is_named(
    check: Check, tmp_path: Path
) -> None:
    good("1.4").write_parquet(tmp_path / "charges.parquet")
    periods = tmp_path / "billing-period"
    periods.mkdir()
    clean_rows("billing-period").collect().write_parquet(periods / "periods.parquet")
    for folder, dataset, name in (
        (tmp_path, "cost-and-usage", "charges"),
        (periods, "billing-period", "periods"),
    ):
        said = {"dataset": f"focus_{dataset.replace('-', '_')}", "files": [{"path": f"{name}.parquet"}]}
        (folder / "manifest.json").write_text(json.dumps(said))
    for dataset, name in (("cost-and-usage", "charges"), ("billing-period", "periods")):
        done = check(tmp_path, "--dataset", dataset, "--format", "json")
        assert done.returncode == 0, done.stderr
        assert [Path(file["name"]).stem for file in json.loads(done.stdout)["files"]] == [name]
    # What is named is looked at, also where its manifest calls it something else.
    assert "presence.BilledCost" in violated(check(periods, "--format", "json"))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 7, "retired": [3, {"path": null}]}'])
def test_json_that_is_no_manifest_of_a_delivery_changes_nothing(
    check: Check, tmp_path: Path, text: str
) -> None:
    good().write_parquet(tmp_path / "data.parquet")
    (tmp_path / "Manifest.json").write_text(text)
    assert check(tmp_path).returncode == 0

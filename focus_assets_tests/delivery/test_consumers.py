"""``docs/consumers.md``, run: every Python block and every SQL block for DuckDB, against delivered folders."""

from __future__ import annotations

import base64
import datetime as dt
import importlib.util
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from focus_assets.delivery import DeliveryRun, deliver
from focus_assets.delivery.signature import Signer
from focus_assets.lake import Lake
from focus_assets.settings import Destination
from focus_assets_tests.delivery.conftest import NOW
from focus_assets_tests.delivery.focus_rows import days, row, write_day

PAGE = Path(__file__).parents[2] / "docs" / "consumers.md"
COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingCurrencyEffectiveCost")
PRICES = (
    "ListUnitPrice",
    "ContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
)
TINY = (
    dict.fromkeys(COSTS, Decimal("1e-18"))
    | dict.fromkeys(PRICES, Decimal("1e-12"))
    | dict.fromkeys(("PricingQuantity", "ConsumedQuantity"), Decimal("1e-6"))
)
BILLED = Decimal("0.330000000000000002")
"""By hand: acme 0.01 and 0.02, and twice the smallest cost there is; globex 0.10 and 0.20."""


class Block(NamedTuple):
    """A fenced block of the page: the comment before it, its language and its text."""

    comment: str
    language: str
    text: str


def blocks() -> list[Block]:
    found = re.finditer(r"(?:<!-- (.+?) -->\n)?```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [Block(match[1] or "", match[2], match[3]) for match in found]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders, of which the month was delivered twice: files of the first delivery still lie there."""
    root = tmp_path_factory.mktemp("consumers")
    lake = Lake.open(str(root / "lake"))
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (root / "sender.pem").write_bytes(public)
    asked = [
        Destination(name="finance", url=str(root / "bucket/finance")),
        Destination(name="texts", url=str(root / "bucket/texts"), format="csv", layout="aws"),
        Destination(name="hub", url=str(root / "bucket/hub"), focus_version="1.0", layout="finops-hubs"),
    ]
    for attempt in range(2):
        for day in days("2026-08-01", "2026-08-02"):
            rows = [row(day, "acme", day.day), row(day, "acme", 1, **TINY), row(day, "globex", 10 * day.day)]
            write_day(lake, day, rows if attempt else rows[:1])
        for each in asked:
            deliver(
                lake,
                each,
                "2026-08",
                DeliveryRun(NOW + dt.timedelta(days=attempt), signer=Signer.from_pem(pem)),
            )
    assert len(list((root / "bucket/finance").rglob("*.parquet"))) == 4, "two of them retired"
    return root


@pytest.fixture(scope="module")
def ran(delivered: Path) -> Iterator[dict[str, Any]]:
    """What the Python blocks leave behind, run in their order in the folder beside the deliveries."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(delivered)
        for block in blocks():
            if block.language != "python":
                continue
            if block.comment == "needs pandas" and importlib.util.find_spec("pandas") is None:
                continue
            exec(compile(block.text, str(PAGE), "exec"), names)
        yield names


def test_every_block_of_a_language_that_runs_here_is_run() -> None:
    told = [(block.language, block.comment) for block in blocks()]

    assert {comment for language, comment in told if language == "sql"} == {"run in DuckDB"}
    assert {comment for language, comment in told if language == "python"} == {"", "needs pandas"}
    assert sum(language == "python" for language, _ in told) >= 10


def test_duckdb_and_pyarrow_read_the_newest_delivery_to_the_last_digit(ran: dict[str, Any]) -> None:
    assert ran["by_service"] == [("Inference", BILLED)]
    assert ran["total"] == [("USD", BILLED)]
    assert ran["billed"] == BILLED
    assert ran["csv_total"] == BILLED
    assert ran["manifest"]["totals"]["billed_cost"] == {"USD": str(BILLED)}
    assert ran["table"].num_rows == 6


def test_the_manifests_of_a_dataset_are_not_taken_for_those_of_another(
    ran: dict[str, Any], tmp_path: Path
) -> None:
    """Every dataset has manifests, of the same months."""
    datasets = ("focus_cost_and_usage", "focus_billing_period", "focus_price_list")
    for below, dataset in zip(("", "billing-period", "price-list"), datasets, strict=True):
        folder = tmp_path / below / "billing_period=2026-08"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({**ran["manifest"], "dataset": dataset}))
    for asked in (datasets[:1], (), *((each,) for each in datasets)):
        found = ran["months"](tmp_path, *asked)
        assert [manifest["dataset"] for manifest, _ in found.values()] == list(asked or datasets[:1])


def test_pandas_reads_it_to_the_last_digit(ran: dict[str, Any]) -> None:
    pytest.importorskip("pandas")
    assert ran["billed_by_pandas"] == BILLED


def test_the_sql_runs_in_duckdb(delivered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(delivered)
    answers = []
    for block in blocks():
        if block.comment == "run in DuckDB":
            with duckdb.connect() as connection:
                answers.append(connection.execute(block.text).fetchall())

    assert answers[0] == [("acme", Decimal("0.030000000000000002")), ("globex", Decimal("0.30"))]
    assert answers[1] == [(Decimal("0.000125"), Decimal("0.000000000"))], "a million of them"


def test_the_statements_for_other_engines_have_every_column_type_and_file(ran: dict[str, Any]) -> None:
    columns, files = ran["manifest"]["columns"], ran["manifest"]["files"]
    expected = {
        "athena": ("decimal(38,18)", "timestamp"),
        "snowflake": ("NUMBER(38,18)", "TIMESTAMP_TZ"),
        "bigquery": ("BIGNUMERIC", "TIMESTAMP"),
        "redshift": ("DECIMAL(38,18)", "TIMESTAMP"),
    }
    for engine, (cost, instant) in expected.items():
        lines = [line.strip(" ,") for line in ran[engine].splitlines()]
        assert f"BilledCost {cost}" in lines, engine
        assert f"ChargePeriodStart {instant}" in lines, engine
        assert all(any(line.startswith(f"{column['name']} ") for line in lines) for column in columns), engine
    assert "NUMERIC" not in ran["bigquery"].replace("BIGNUMERIC", "")
    for text in (ran["athena_files"], ran["snowflake"], ran["bigquery"], str(ran["redshift_manifest"])):
        assert all(text.count(file["path"]) == 1 for file in files)
        assert text.count(".parquet") == len(files), "no retired file"


def test_a_hub_finds_one_ingestion_id(ran: dict[str, Any], delivered: Path) -> None:
    assert len(ran["ingestion_ids"]) == 1
    there = {path.name.split("__")[0] for path in (delivered / "bucket/hub").rglob("*.parquet")}
    assert there == ran["ingestion_ids"], "and no other lies there"


def test_a_receiver_verifies_a_notice(ran: dict[str, Any]) -> None:
    from standardwebhooks import Webhook

    secret, now = f"whsec_{base64.b64encode(b'0' * 32).decode()}", dt.datetime.now(dt.UTC)
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("1", now, '{"type": "x"}'),
    }
    assert ran["received"]('{"type": "x"}', headers, secret) == {"type": "x"}

"""One day of usage for a thousand destinations: one pass over the data, against a filter for each destination.

Both sides ask the gate once and deliver the same lake, of a thousand rows for each destination in no order of
customers. The first side is what the export asset calls. The second filters the lake for each destination; that takes
so long that it serves one destination of fifty, and its figures have to be multiplied. Both answer with the manifests
of those, which name every byte delivered, so that the harness refuses sides that deliver something else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
import time
from pathlib import Path

from benchmarks.focus_rows import stored_rows
from benchmarks.harness import Benchmark
from focus_assets.delivery import DeliveryResult, DeliveryRun, billing_month_facts, deliver, deliver_all
from focus_assets.delivery.gate import require_days, require_rules
from focus_assets.delivery.ledger import remembering
from focus_assets.delivery.months import DATASET
from focus_assets.lake import Lake
from focus_assets.settings import Destination

_MONTH, _DAY = "2026-10", dt.date(2026, 10, 1)
_NOW = dt.datetime(2026, 10, 2, 6, tzinfo=dt.UTC)
_ROWS_EACH = 1_000
_ONE_OF = 50
_LIST = 3
_LISTED = 20


def _prepare(given: Path, size: int) -> int:
    rows = size * _ROWS_EACH
    (given / "size").write_text(str(size))
    Lake.open(str(given / "lake")).write(
        DATASET, _DAY, stored_rows(rows, customers=size), facts=billing_month_facts
    )
    return rows


def _destinations(given: Path, own: Path) -> list[Destination]:
    """One customer each, as Parquet; of twenty destinations one has a list of three, as CSV."""
    size = int((given / "size").read_text())
    return [
        Destination(
            name=f"d-{number}",
            url=str(own / f"{number}"),
            customers=tuple(f"customer-{n % size}" for n in range(number, number + _LIST))
            if number % _LISTED == _LISTED - 1
            else (f"customer-{number}",),
            format="csv" if number % _LISTED == _LISTED - 1 else "parquet",
        )
        for number in range(size)
    ]


def one_pass(given: Path, own: Path) -> str:
    """As the export asset delivers."""
    began = time.process_time()
    lake = _lake(given, own)
    with remembering(lake):
        found = deliver_all(lake, _destinations(given, own), _MONTH, DeliveryRun(_NOW))
    print(f"  gate, pass and deliveries: {time.process_time() - began:.1f} CPU-s", file=sys.stderr)
    failed = [one for one in found if not isinstance(one, DeliveryResult)]
    assert not failed, str(failed[0])
    return _answer([one for one in found if isinstance(one, DeliveryResult)][::_ONE_OF])


def filters(given: Path, own: Path) -> str:
    """One destination after the other, each filtering the lake; one of fifty."""
    began = time.process_time()
    lake = _lake(given, own)
    passed = require_rules(lake, require_days(lake, _MONTH), "1.2")
    gate = time.process_time()
    served = _destinations(given, own)[::_ONE_OF]
    found = [deliver(lake, each, _MONTH, DeliveryRun(_NOW), passed=passed) for each in served]
    took = time.process_time() - gate
    print(
        f"  gate: {gate - began:.1f} CPU-s, {len(served)} deliveries: {took:.1f} CPU-s, "
        f"{took / len(served):.2f} each",
        file=sys.stderr,
    )
    return _answer(found)


def _lake(given: Path, own: Path) -> Lake:
    """The same day in a lake of the side's own, whose ledger is empty."""
    source = given / "lake" / DATASET
    (own / "lake").mkdir()
    (own / "lake" / DATASET).symlink_to(source.resolve(), target_is_directory=True)
    return Lake.open(str(own / "lake"))


def _answer(found: list[DeliveryResult]) -> str:
    manifests = [one.manifest.to_bytes() for one in found]
    return hashlib.sha256(b"".join(manifests)).hexdigest()


BENCHMARK = Benchmark(
    name="delivery",
    question=(
        "What does one pass over the data bring? A day of usage to a destination for each customer (one of twenty "
        "has a list of three, as CSV), gate included, against a filter for each destination; the filters serve "
        "one destination of fifty."
    ),
    unit="destinations",
    size=1_000,
    prepare=_prepare,
    sides={"one pass, all destinations": one_pass, "filters, one destination of fifty": filters},
    packages=("polars", "pyarrow"),
)

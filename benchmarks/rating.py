"""Rating against the least it could cost: ``python benchmarks/rating.py [rows] [--windows-per-line N]``.

Both sides read the same Parquet file of one day's usage and write one Parquet file of rated lines with the same
columns, each in a process of its own. The plain side is the query one would write by hand for graduated tiers
alone: a running sum over each charge, and the running sum's part in each tier times its price. It rounds as
Polars does and knows no list prices, fees, slices, falling quantities or ranges.

Reported are CPU seconds (user and system; a shared machine makes wall time worthless), their ratio, peak memory,
and whether both come to the same cost.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import polars as pl

from focus_assets.decimals import COST, METERED_QUANTITY, PRICING_QUANTITY, UNIT_PRICE
from focus_assets.rating import RATED_LINES, SEGMENTS, SLICES, USAGE, rate
from focus_assets.rating.lines import MARGINAL

START = dt.datetime(2026, 8, 17, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
TIERS = [
    (Decimal(0), Decimal(1_000), Decimal("0.000002500000")),
    (Decimal(1_000), Decimal(100_000), Decimal("0.000002250000")),
    (Decimal(100_000), Decimal(10_000_000), Decimal("0.000002000000")),
    (Decimal(10_000_000), None, Decimal("0.000001750000")),
]
SKUS = 1_000


def write_inputs(folder: Path, rows: int, windows_per_line: int) -> None:
    """Usage of ``rows`` windows over customers × 1,000 SKUs, their openings, slices and segments."""
    customers = -(-rows // (SKUS * 24))
    number = pl.int_range(rows, eager=True).alias("n")
    hour, rest = number % 24, number // 24
    usage = pl.DataFrame(number).select(
        pl.format("customer-{}/sku-{}/20260801T000000Z", rest % customers, rest // customers % SKUS).alias(
            "charge_id"
        ),
        pl.lit(START).dt.cast_time_unit("us").alias("slice_from"),
        pl.lit(START + DAY).dt.cast_time_unit("us").alias("slice_to"),
        (pl.lit(START) + pl.duration(hours=pl.col("n") % 24)).dt.cast_time_unit("us").alias("window_from"),
        pl.format("customer-{}", rest % customers).alias("subject"),
        pl.format(
            '{{"model":"m{}","region":"r{}"}}', hour // windows_per_line % 4, hour // windows_per_line
        ).alias("dimensions"),
        (
            (number * 7_919 % 99_991 + 1).cast(pl.Decimal(38, 0)) * pl.lit(Decimal("0.001"), METERED_QUANTITY)
        ).alias("quantity"),
    )
    usage.cast(USAGE).write_parquet(folder / "usage.parquet")
    charges = usage.select("charge_id").unique().sort("charge_id").with_row_index("c")
    charges.select(
        "charge_id",
        (pl.col("c") * 1_234_567 % 20_000_000).cast(METERED_QUANTITY).alias("quantity"),
    ).write_parquet(folder / "opening.parquet")
    charges.select(
        "charge_id",
        pl.lit(START).dt.cast_time_unit("us").alias("slice_from"),
        pl.lit(START + DAY).dt.cast_time_unit("us").alias("slice_to"),
        pl.lit(False).alias("begins"),
    ).cast(SLICES).write_parquet(folder / "slices.parquet")
    tiers = pl.DataFrame(
        [
            ("usage", n, start, end, price, price, True, False, MARGINAL, start, end, None, None, start)
            for n, (start, end, price) in enumerate(TIERS, 1)
        ],
        schema=pl.Schema({name: SEGMENTS[name] for name in SEGMENTS.names()[1:]}),
        orient="row",
    )
    charges.select("charge_id").join(tiers, how="cross").write_parquet(folder / "segments.parquet")


def kernel(folder: Path) -> pl.LazyFrame:
    """The project's own rating."""
    tables = [
        pl.scan_parquet(folder / f"{name}.parquet") for name in ("usage", "opening", "slices", "segments")
    ]
    return rate(*tables)


def plain(folder: Path) -> pl.LazyFrame:
    """Graduated costs and nothing else, a line per window and tier touched."""
    usage = pl.scan_parquet(folder / "usage.parquet")
    opening = pl.scan_parquet(folder / "opening.parquet").rename({"quantity": "opening"})
    order = ["window_from", "subject", "dimensions"]
    after = pl.col("opening") + pl.col("quantity").cum_sum().over("charge_id", order_by=order)
    running = (
        usage.join(opening, on="charge_id", how="left")
        .with_columns(after.alias("after"))
        .with_columns((pl.col("after") - pl.col("quantity")).alias("before"))
    )
    per_tier = []
    for number, (start, end, price) in enumerate(TIERS, 1):
        lower = pl.lit(start, METERED_QUANTITY)
        upper = pl.lit(end, METERED_QUANTITY)
        part = pl.col("after").clip(lower, upper) - pl.col("before").clip(lower, upper)
        cost = (part.cast(COST) * pl.lit(price, UNIT_PRICE)).alias("contracted_cost")
        per_tier.append(
            running.with_columns(part.alias("consumed_quantity"))
            .filter(pl.col("consumed_quantity") != 0)
            .select(
                "charge_id",
                "slice_from",
                "slice_to",
                pl.lit("usage").alias("component"),
                pl.lit(number, pl.Int32).alias("tier"),
                "subject",
                "dimensions",
                "consumed_quantity",
                pl.col("consumed_quantity").cast(PRICING_QUANTITY).alias("pricing_quantity"),
                pl.lit(price, UNIT_PRICE).alias("list_unit_price"),
                pl.lit(price, UNIT_PRICE).alias("contracted_unit_price"),
                cost.alias("list_cost"),
                cost,
                cost.alias("billed_cost"),
                cost.alias("effective_cost"),
            )
        )
    lines = pl.concat(per_tier)
    return lines.select(RATED_LINES.names()).sort("charge_id", "slice_from", "tier", "subject", "dimensions")


def measure(side: Callable[[Path], pl.LazyFrame], folder: Path, answer: Connection) -> None:
    """Run one side and send its CPU seconds, wall seconds and peak memory."""
    began = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF)
    side(folder).sink_parquet(folder / f"{side.__name__}.parquet", compression="zstd", engine="streaming")
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    answer.send({"cpu": cpu, "wall": time.perf_counter() - began, "peak": after.ru_maxrss / 1024**2})


def measured(side: Callable[[Path], pl.LazyFrame], folder: Path) -> dict[str, Any]:
    """One side in a fresh process: its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(side, folder, sender))
    process.start()
    sender.close()
    try:
        found: dict[str, Any] = receiver.recv()
    except EOFError:
        sys.exit(f"the {side.__name__} side failed; its error is above")
    process.join()
    lines = pl.scan_parquet(folder / f"{side.__name__}.parquet")
    total = lines.select(pl.len(), pl.col("contracted_cost", "consumed_quantity").sum()).collect()
    found["lines"], found["cost"], found["quantity"] = total.row(0)
    return found


def main() -> None:
    """Write the inputs, run each side three times, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="?", type=int, default=10_000_000)
    parser.add_argument(
        "--windows-per-line",
        type=int,
        default=1,
        help="hours that share their dimensions (1: a line per row)",
    )
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, given.rows, given.windows_per_line)
        runs = [(measured(plain, folder), measured(kernel, folder)) for _ in range(given.repeat)]
    middle = len(runs) // 2
    print(f"{given.rows:,} usage rows, {len(TIERS)} graduated tiers, {SKUS:,} SKUs, median of {len(runs)}")
    medians = []
    for label, side in (("plain query", 0), ("rating", 1)):
        of = sorted((run[side] for run in runs), key=lambda run: run["cpu"])[middle]
        medians.append(of["cpu"])
        print(
            f"{label:12} {of['cpu']:7.2f} CPU-s {of['wall']:7.2f} s {of['peak']:6.2f} GiB peak "
            f"{of['lines']:>12,} lines  cost {of['cost']}  quantity {of['quantity']}"
        )
    print(f"CPU ratio rating / plain: {medians[1] / medians[0]:.2f}")
    if runs[0][0]["cost"] != runs[0][1]["cost"] or runs[0][0]["quantity"] != runs[0][1]["quantity"]:
        sys.exit("the two sides differ")


if __name__ == "__main__":
    main()

"""The restatement report: what changed in days that had been delivered, by how much, since which delivery, and why.

What belongs here: what a day said each time it was delivered, and the differences. What does not: delivering, and when.

Before a month is put anywhere, each of its days that is another than when it was last delivered gets an object
``_delivered/charge_date=YYYY-MM-DD/<n>.parquet``: its sums by customer and SKU, and digests of what it was computed
from. It is put once and never changed, so a delivery that is killed and run again finds its own. The dataset
``restatements`` is the differences between each of a day's objects and the one before; it can always be made again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from io import BytesIO
from itertools import pairwise
from typing import Final

import polars as pl

from focus_assets.billing.close import CLOSED_PERIODS
from focus_assets.datasets import CATALOG, RAW_USAGE, Column, Dataset
from focus_assets.decimals import COST, METERED_QUANTITY, UTC_INSTANT
from focus_assets.delivery.facts import billing_month_of_row
from focus_assets.delivery.months import DATASET, BillingMonth
from focus_assets.lake import Lake, PartitionRecord
from focus_assets.lake.errors import ConditionFailed

ROOT: Final = "_delivered"

_KEYS: Final = (
    Column("customer", pl.String, "Customer key"),
    Column("BillingAccountId", pl.String, "The account that is billed"),
    Column("SkuId", pl.String, "What was bought", nullable=True),
    Column("unit", pl.String, "Unit of the quantities; null where nothing is consumed", nullable=True),
    Column("currency", pl.String, "Currency of the costs"),
    Column("billing_month", pl.String, "The month in whose delivery it is"),
    Column("corrected_invoice", pl.String, "The issued invoice that is corrected, if one is", nullable=True),
)
_AMOUNTS: Final[Mapping[str, pl.DataType]] = {
    "quantity": METERED_QUANTITY,
    "billed_cost": COST,
    "effective_cost": COST,
}

RESTATEMENTS: Final = Dataset(
    name="restatements",
    grain="what changed for a customer and SKU on a day between two deliveries of the day",
    columns=(
        Column("charge_date", pl.Date, "UTC day of the charges"),
        *_KEYS,
        *(
            Column(f"{name}_{when}", dtype, f"{name.replace('_', ' ').capitalize()} {text}")
            for name, dtype in _AMOUNTS.items()
            for when, text in (
                ("before", "as it was delivered"),
                ("after", "now"),
                ("change", "more than before"),
            )
        ),
        Column(
            "reason", pl.String, "Why: late usage, catalog change, configuration change, code version, ..."
        ),
        Column("since", UTC_INSTANT, "The delivery that what was before was first part of"),
        Column("restated_at", UTC_INSTANT, "The delivery that what is now was first part of"),
        Column("sequence", pl.Int64, "How often the day had been delivered otherwise before"),
    ),
    order=("sequence", *(column.name for column in _KEYS)),
)

_ABOUT: Final = "focus_assets.delivered_day"
_OBJECT: Final = re.compile(rf"{ROOT}/charge_date=(\d{{4}}-\d\d-\d\d)/(\d{{6}})\.parquet")
_TOTALS: Final = pl.Schema({**{column.name: column.dtype for column in _KEYS}, **_AMOUNTS})


@dataclass(frozen=True)
class DeliveredDay:
    """What a day was made from when it was delivered; digests, but for ``at`` and ``code``.

    ``rows``: the day's file; ``usage``: what the source said; ``earlier``: the days before that its prices depend on;
    ``closed``: which billing periods had closed.
    """

    rows: str
    usage: str
    source: str
    catalog: str
    earlier: str
    closed: str
    code: str
    at: str


def remember_days(
    lake: Lake, month: BillingMonth, now: dt.datetime, *, catalog_of: str = "configuration"
) -> None:
    """Note what the days of a month say now that it is delivered, and what changed since they last were.

    ``catalog_of``: whose catalog it is, ``configuration`` or a server's (``catalog``). Call it as the lake's writer,
    before anything is put.
    """
    objects = _objects(lake)
    for day in month.days:
        record = lake.record(DATASET, day)
        if record is None:
            continue
        paths = objects.get(day, [])
        about = None if not paths else _read(lake, paths[-1])[0]
        if about is None or about.rows != record.sha256:
            paths = [*paths, _put(lake, record, len(paths) + 1, now)]
        if len(paths) > 1:
            _write_changes(lake, day, paths, catalog_of)


def restatements(lake: Lake, days: Iterable[dt.date] | None = None) -> pl.DataFrame:
    """:data:`RESTATEMENTS` of ``days``, or of all, sorted by day."""
    held = lake.days(RESTATEMENTS.name)
    wanted = held if days is None else sorted(set(held) & set(days))
    if not wanted:
        return pl.DataFrame(schema=RESTATEMENTS.schema)
    return lake.scan(RESTATEMENTS.name, wanted).collect().sort("charge_date", *RESTATEMENTS.order)


def _write_changes(lake: Lake, day: dt.date, paths: Sequence[str], catalog_of: str) -> None:
    inputs = {f"{ROOT}/{day:%F}/{catalog_of}": hashlib.sha256("\n".join(paths).encode()).hexdigest()}
    there = lake.record(RESTATEMENTS.name, day)
    if there is not None and there.inputs == inputs:
        return
    versions = [_read(lake, path) for path in paths]
    changes = [
        _changes(day, number, before, after, catalog_of)
        for number, (before, after) in enumerate(pairwise(versions), 1)
    ]
    frame = pl.concat([pl.DataFrame(schema=RESTATEMENTS.schema), *changes])
    lake.write(RESTATEMENTS.name, day, frame.lazy(), inputs=inputs)


def _changes(
    day: dt.date,
    number: int,
    before: tuple[DeliveredDay, pl.DataFrame],
    after: tuple[DeliveredDay, pl.DataFrame],
    catalog_of: str,
) -> pl.DataFrame:
    keys = [column.name for column in _KEYS]
    zero = {name: pl.lit(0, dtype) for name, dtype in _AMOUNTS.items()}
    sides = [
        frame.rename({name: f"{name}_{when}" for name in _AMOUNTS})
        for frame, when in ((before[1], "before"), (after[1], "after"))
    ]
    joined = sides[0].join(sides[1], on=keys, how="full", coalesce=True, nulls_equal=True)
    filled = joined.with_columns(
        pl.col(f"{name}_{when}").fill_null(zero[name]) for name in _AMOUNTS for when in ("before", "after")
    )
    return (
        filled.with_columns(
            (pl.col(f"{name}_after") - pl.col(f"{name}_before")).alias(f"{name}_change") for name in _AMOUNTS
        )
        .filter(pl.any_horizontal(pl.col(f"{name}_change") != 0 for name in _AMOUNTS))
        .with_columns(
            pl.lit(day).alias("charge_date"),
            pl.lit(_reason(before[0], after[0], catalog_of)).alias("reason"),
            pl.lit(dt.datetime.fromisoformat(before[0].at)).alias("since"),
            pl.lit(dt.datetime.fromisoformat(after[0].at)).alias("restated_at"),
            pl.lit(number).alias("sequence"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in RESTATEMENTS.schema.items())
        .sort(RESTATEMENTS.order)
    )


def _reason(before: DeliveredDay, after: DeliveredDay, catalog_of: str) -> str:
    """What differs of what the day was made from; several reasons are all named."""
    found = []
    catalog_changed = before.catalog != after.catalog
    # A meter that counts otherwise changes usage too; then what the source holds decides.
    if before.usage != after.usage and (not catalog_changed or before.source != after.source):
        found.append("late usage")
    if catalog_changed:
        found.append(f"{catalog_of} change")
    if before.closed != after.closed:
        found.append("billing period closed")
    if not found and before.earlier != after.earlier:
        found.append("earlier days changed")
    if before.code != after.code:
        found.append(f"code version {before.code} to {after.code}")
    return ", ".join(found) or "computed again"


def _put(lake: Lake, record: PartitionRecord, number: int, now: dt.datetime) -> str:
    about = _about(lake, record, now)
    frame = _totals(lake.scan(DATASET, [record.day]))
    data = BytesIO()
    frame.write_parquet(
        data, compression="zstd", metadata={_ABOUT: json.dumps(asdict(about), sort_keys=True)}
    )
    path = f"{ROOT}/charge_date={record.day:%F}/{number:06d}.parquet"
    # Where another writer was as far, what it says of the same rows is the same.
    with suppress(ConditionFailed):
        lake.store.put(path, data.getvalue(), if_absent=True)
    return path


def _about(lake: Lake, record: PartitionRecord, now: dt.datetime) -> DeliveredDay:
    day = f"{record.day:%F}"
    raw = lake.record(RAW_USAGE.name, record.day)
    own = {f"{CATALOG.name}/{day}", f"normalized_usage/{day}", f"usage_totals/{day}", CLOSED_PERIODS}
    earlier = {
        key: sha for key, sha in record.inputs.items() if key not in own and not key.startswith("recomputed")
    }
    source = {key: sha for key, sha in (raw.inputs if raw else {}).items() if key.startswith("source/")}
    return DeliveredDay(
        rows=record.sha256,
        usage=raw.sha256 if raw else record.inputs.get(f"normalized_usage/{day}", ""),
        source=_digest(source),
        catalog=record.inputs.get(f"{CATALOG.name}/{day}", ""),
        earlier=_digest(earlier),
        closed=record.inputs.get(CLOSED_PERIODS, ""),
        code=version("focus-assets"),
        at=now.astimezone(dt.UTC).isoformat(),
    )


def _totals(rows: pl.LazyFrame) -> pl.DataFrame:
    return (
        rows.group_by(
            pl.col("x_CustomerKey").alias("customer"),
            "BillingAccountId",
            "SkuId",
            pl.col("ConsumedUnit").alias("unit"),
            pl.col("BillingCurrency").alias("currency"),
            billing_month_of_row().alias("billing_month"),
            pl.col("x_CorrectedInvoiceId").alias("corrected_invoice"),
        )
        .agg(
            pl.col("ConsumedQuantity").sum().alias("quantity"),
            pl.col("BilledCost").sum().alias("billed_cost"),
            pl.col("EffectiveCost").sum().alias("effective_cost"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in _TOTALS.items())
        .sort(column.name for column in _KEYS)
        .collect(engine="streaming")
    )


def _objects(lake: Lake) -> dict[dt.date, list[str]]:
    """By day, the paths of what was delivered of it, oldest first."""
    found: dict[dt.date, list[str]] = {}
    for path in sorted(info.path for info in lake.store.list(f"{ROOT}/")):
        if match := _OBJECT.fullmatch(path):
            found.setdefault(dt.date.fromisoformat(match[1]), []).append(path)
    return found


def _read(lake: Lake, path: str) -> tuple[DeliveredDay, pl.DataFrame]:
    data = lake.store.get(path)
    about = json.loads(pl.read_parquet_metadata(BytesIO(data))[_ABOUT])
    return DeliveredDay(**about), pl.read_parquet(BytesIO(data))


def _digest(entries: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(entries), sort_keys=True).encode()).hexdigest()

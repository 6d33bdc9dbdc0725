"""What people see of a partition in the Dagster UI.

What belongs here: schemas, previews, tables and figures as Dagster metadata. What does not: deciding anything, and
drawing (``cost_chart``). Floats appear here and only here: the UI plots numbers, and nothing is computed from them.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import dagster as dg
import polars as pl

from focus_assets.catalog.kept import catalog_in
from focus_assets.catalog.snapshot import Catalog
from focus_assets.datasets import CATALOG, Dataset
from focus_assets.decimals import currency_digits
from focus_assets.focus.dimensions import Layer, resolve
from focus_assets.focus.made_columns import MADE, with_made_columns
from focus_assets.lake import CorruptPartition, Lake, PartitionRecord
from focus_assets.orchestration.column_lineage import column_lineage, sources_of
from focus_assets.orchestration.cost_chart import cost_chart_svg

PREVIEW_ROWS: Final = 10
CHART_DAYS: Final = 31
_PLOTTED_METERS: Final = 12
_LAYERED_METERS: Final = 20
_LONGEST_CELL: Final = 90
_MARKDOWN: Final = re.compile(r"([\\`*<|\[])")
"""What would make something else of a text in Markdown; the same tables are printed on terminals, so no more."""


@dataclass(frozen=True)
class _Preview:
    """Which rows and columns of a dataset say most about it; every column where none is named."""

    heading: str = "The first {shown} of {rows} rows."
    columns: tuple[str, ...] = ()
    without: tuple[str, ...] = ("charge_date",)
    largest: str | None = None


_PREVIEWS: Final[Mapping[str, _Preview]] = {
    "raw_usage": _Preview(without=("charge_date", "request")),
    "focus_cost_and_usage": _Preview(
        heading="The {shown} largest of {rows} charges, by billed cost.",
        columns=(
            "BillingAccountName",
            "SubAccountName",
            "ServiceName",
            "RegionId",
            "ChargeDescription",
            "PricingQuantity",
            "PricingUnit",
            "ContractedUnitPrice",
            "BilledCost",
            "BillingCurrency",
        ),
        largest="BilledCost",
    ),
}


def table_schema(dataset: Dataset) -> dg.TableSchema:
    """A usage dataset's columns with their types, descriptions and where they come from."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=type_name(column.dtype if isinstance(column.dtype, pl.DataType) else column.dtype()),
                description=with_sources(column.description + ".", dataset.name, column.name),
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in dataset.columns
        ]
    )


def type_name(dtype: pl.DataType) -> str:
    """A column type as people say it: ``Decimal(38, 9)``, ``Datetime (UTC)``."""
    if isinstance(dtype, pl.Decimal):
        return f"Decimal({dtype.precision}, {dtype.scale})"
    if isinstance(dtype, pl.List):
        return "List"
    return "Datetime (UTC)" if isinstance(dtype, pl.Datetime) else str(dtype)


def with_sources(description: str, dataset: str, column: str) -> str:
    """A description followed by the columns that the column is computed from.

    In the text as well as in the lineage: the open-source UI has no view of column lineage.
    """
    sources = ", ".join(f"{source.dataset}.{source.column}" for source in sources_of(dataset, column))
    return f"{description} From {sources}." if sources else description


def partition_metadata(lake: Lake, record: PartitionRecord) -> dict[str, Any]:
    """Rows, bytes, place and digest of one partition, its figures, cost by service and a preview of its rows."""
    found: dict[str, Any] = {
        "dagster/partition_row_count": record.rows,
        "dagster/uri": f"{lake.url}/{lake.path(record.dataset, record.day)}",
        "bytes": record.bytes,
        "sha256": record.sha256,
        **_figures(record.facts),
    }
    if record.rows:
        found["preview"] = preview(lake.scan(record.dataset, [record.day]), record.dataset, record.rows)
    return found


def run_metadata(lake: Lake, dataset: str, last: dt.date) -> dict[str, Any]:
    """What the last day of a run shows besides: column lineage, a chart of the cost up to that day, deciding layers.

    Not on every day: an event of some 20 kB for each would fill the instance, and the UI shows the newest.
    """
    found: dict[str, Any] = {}
    lineage = column_lineage(dataset)
    if lineage is not None:
        found["dagster/column_lineage"] = lineage
    if dataset == CATALOG.name:
        found["dimensions"] = deciding_layers(catalog_in(lake, last))
    for currency, costs in _costs_up_to(lake, dataset, last).items():
        found[f"cost_chart_{currency.lower()}"] = cost_chart(costs, currency)
    return found


def preview(frame: pl.LazyFrame, dataset: str, rows: int) -> dg.MarkdownMetadataValue:
    """Some rows as a table; columns that hold nothing but nulls there are left out."""
    wanted = _PREVIEWS.get(dataset, _Preview())
    known = frame.collect_schema().names()
    columns = [name for name in wanted.columns or known if name in known and name not in wanted.without]
    if wanted.largest is not None:
        frame = frame.sort(wanted.largest, descending=True, maintain_order=True)
    shown = frame.select(columns).head(PREVIEW_ROWS).collect(engine="streaming")
    filled = [name for name in columns if shown[name].null_count() < max(shown.height, 1)]
    heading = wanted.heading.format(shown=shown.height, rows=f"{rows:,}")
    return dg.MetadataValue.md(f"{heading}\n\n{markdown_table(shown.select(filled))}")


def markdown_table(frame: pl.DataFrame) -> str:
    """A frame as a Markdown table: numbers to the right, instants as dates where they are midnight."""
    rules = ["---:" if dtype.is_numeric() else "---" for dtype in frame.dtypes]
    lines = [_row(frame.columns), _row(rules)]
    lines += [_row(_cell(value) for value in row) for row in frame.iter_rows()]
    return "\n".join(lines)


def cost_chart(
    cost_by_day: Mapping[dt.date, Mapping[str, Decimal]], currency: str
) -> dg.MarkdownMetadataValue:
    """Stacked bars: billed cost by day and service, as an image in the text."""
    svg = base64.b64encode(cost_chart_svg(cost_by_day, currency).encode()).decode()
    return dg.MetadataValue.md(f"![Billed cost by day and service](data:image/svg+xml;base64,{svg})")


def deciding_layers(catalog: Catalog) -> dg.MarkdownMetadataValue:
    """For each meter, which layer decides each FOCUS dimension, what it says and where it is set."""
    resolved = with_made_columns(resolve(catalog), catalog).to_frame().filter(pl.col("layer") != Layer.UNSET)
    meters = resolved["meter"].drop_nulls().unique(maintain_order=True).to_list()
    shown = resolved.filter(pl.col("meter").is_null() | pl.col("meter").is_in(meters[:_LAYERED_METERS]))
    value = (
        pl.when(pl.col("dimension").is_null() | pl.col("column").is_in(MADE))
        .then(pl.col("value"))
        .otherwise(pl.format("event's {}, else {}", "dimension", pl.col("value").fill_null("null")))
    )
    table = shown.select("meter", "customer", "column", pl.col("layer").alias("decided by"), value, "set_at")
    more = (
        f"\n\n{len(meters) - _LAYERED_METERS} more meters: `focus-assets dimensions` shows all."
        if len(meters) > _LAYERED_METERS
        else ""
    )
    return dg.MetadataValue.md(
        "A destination's own `dimensions` and `tags` stand before these for what is delivered to it.\n\n"
        f"{markdown_table(table)}{more}"
    )


def _costs_up_to(lake: Lake, dataset: str, last: dt.date) -> dict[str, dict[dt.date, dict[str, Decimal]]]:
    """By currency and day, the cost by service of the days before ``last`` that the lake holds."""
    found: dict[str, dict[dt.date, dict[str, Decimal]]] = {}
    newest = lake.record(dataset, last)
    if newest is None or "billed_cost_by_service" not in newest.facts:
        return found
    for day in (last - dt.timedelta(days=n) for n in reversed(range(CHART_DAYS))):
        try:
            record = lake.record(dataset, day)
        except CorruptPartition:
            # Another day is damaged: that is for its readers to refuse, not for a picture.
            continue
        for currency, costs in sorted(
            (record.facts if record else {}).get("billed_cost_by_service", {}).items()
        ):
            found.setdefault(currency, {})[day] = {name: Decimal(cost) for name, cost in costs.items()}
    return found


def _figures(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a record's facts that are worth plotting over days, and cost by service as a table."""
    figures: dict[str, Any] = {}
    for currency, costs in facts.get("billed_cost_by_service", {}).items():
        decimals = {service: Decimal(cost) for service, cost in costs.items()}
        figures[f"billed_cost_{currency.lower()}"] = float(sum(decimals.values(), Decimal(0)))
        figures[f"cost_by_service_{currency.lower()}"] = _cost_table(decimals, currency)
    usage = facts.get("usage", {})
    for meter in usage if len(usage) <= _PLOTTED_METERS else ():
        figures[f"quantity_{meter}"] = float(Decimal(usage[meter]["quantity"]))
    for name, count in facts.get("events", {}).items():
        figures[f"events_{name}"] = count
    return figures


def _cost_table(costs: Mapping[str, Decimal], currency: str) -> dg.MarkdownMetadataValue:
    digits = currency_digits(currency)
    ranked = sorted(costs.items(), key=lambda entry: (-entry[1], entry[0]))[:PREVIEW_ROWS]
    lines = [_row(["Service", f"Billed cost, {currency}"]), _row(["---", "---:"])]
    lines += [_row([_cell(service), f"{cost:,.{digits}f}"]) for service, cost in ranked]
    return dg.MetadataValue.md("\n".join(lines))


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, dt.datetime):
        return f"{value:%F}" if value.time() == dt.time() else f"{value:%F %T}"
    text = " ".join(str(value).split())
    short = text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
    return _MARKDOWN.sub(r"\\\1", short)

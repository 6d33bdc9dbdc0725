"""What people see of a partition in the Dagster UI.

What belongs here: schemas, previews, charts and figures as Dagster metadata. What does not: deciding anything.
Floats appear here and only here: the UI plots numbers, and nothing is computed from them.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg
import polars as pl

from focus_assets.datasets import Dataset
from focus_assets.lake import PartitionRecord

PREVIEW_ROWS = 10


def table_schema(dataset: Dataset) -> dg.TableSchema:
    """A usage dataset's columns with their types and descriptions."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=str(column.dtype if isinstance(column.dtype, pl.DataType) else column.dtype()),
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in dataset.columns
        ]
    )


def partition_metadata(record: PartitionRecord, uri: str) -> dict[str, Any]:
    """Rows, bytes, digest and place of one partition."""
    return {
        "dagster/partition_row_count": record.rows,
        "dagster/uri": uri,
        "bytes": record.bytes,
        "sha256": record.sha256,
        **_figures(record.facts),
    }


def preview(frame: pl.LazyFrame, columns: Sequence[str] | None = None) -> dg.MarkdownMetadataValue:
    """The first rows as a table; columns that hold nothing but nulls there are left out."""
    rows = frame.head(PREVIEW_ROWS).collect()
    shown = [name for name in (columns or rows.columns) if rows[name].null_count() < max(rows.height, 1)]
    return dg.MetadataValue.md(markdown_table(rows.select(shown)))


def markdown_table(frame: pl.DataFrame) -> str:
    """A frame as a Markdown table."""
    lines = [f"| {' | '.join(frame.columns)} |", f"|{'---|' * frame.width}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in frame.iter_rows()]
    return "\n".join(lines)


def cost_chart(
    cost_by_day: Mapping[dt.date, Mapping[str, Decimal]], currency: str
) -> dg.MarkdownMetadataValue:
    """Stacked bars: billed cost by day and service."""
    import pygal
    from pygal.style import CleanStyle

    services = sorted({service for costs in cost_by_day.values() for service in costs})
    chart = pygal.StackedBar(
        title=f"Billed cost by day and service ({currency})",
        style=CleanStyle(font_family="sans-serif"),
        js=[],
        width=960,
        height=420,
        x_label_rotation=45,
        show_minor_x_labels=False,
        legend_at_bottom=True,
        disable_xml_declaration=False,
    )
    days = sorted(cost_by_day)
    chart.x_labels = [f"{day:%d %b}" for day in days]
    chart.x_labels_major_every = max(1, len(days) // 12)
    for service in services:
        chart.add(service, [float(cost_by_day[day].get(service, Decimal(0))) for day in days])
    svg = base64.b64encode(chart.render()).decode()
    return dg.MetadataValue.md(f"![Billed cost by day and service](data:image/svg+xml;base64,{svg})")


def _figures(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a record's facts that are worth plotting over days."""
    figures: dict[str, Any] = {}
    for currency, costs in facts.get("billed_cost_by_service", {}).items():
        figures[f"billed_cost_{currency.lower()}"] = float(sum(map(Decimal, costs.values()), Decimal(0)))
    for meter, usage in facts.get("usage", {}).items():
        figures[f"quantity_{meter}"] = float(Decimal(usage["quantity"]))
    for name, count in facts.get("events", {}).items():
        figures[f"events_{name}"] = count
    return figures


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
    if isinstance(value, Decimal) and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("|", "\\|").replace("\n", " ")

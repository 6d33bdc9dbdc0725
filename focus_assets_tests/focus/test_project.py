"""Versions as projections of the one stored shape."""

from __future__ import annotations

import polars as pl
import pytest

from focus_assets.focus.columns import VERSIONS, columns, own_columns
from focus_assets.focus.project import UnfitFrameError, project
from focus_assets.focus.schema import internal_schema, version_schema


@pytest.mark.parametrize("version", VERSIONS)
def test_a_projection_has_exactly_its_versions_columns_then_ours(version: str) -> None:
    projected = project(pl.LazyFrame(schema=internal_schema()), version)
    names = projected.collect_schema().names()
    assert names == [entry.id for entry in (*columns(version), *own_columns())]
    assert projected.collect_schema() == version_schema(version)


def test_version_1_2_is_complete() -> None:
    assert len([name for name in version_schema("1.2") if not name.startswith("x_")]) == 57


def test_further_columns_of_our_own_are_kept_at_the_end() -> None:
    frame = pl.LazyFrame(schema={"x_Zone": pl.String, **internal_schema(), "x_DiscountId": pl.String})
    assert project(frame, "1.2").collect_schema().names()[-2:] == ["x_DiscountId", "x_Zone"]


def test_a_projection_brings_values_to_their_types() -> None:
    frame = pl.LazyFrame(schema=internal_schema()).with_columns(pl.lit("1.5").alias("BilledCost"))
    assert project(frame, "1.2").collect_schema()["BilledCost"] == pl.Decimal(38, 18)


def test_a_frame_without_a_needed_column_is_refused_by_name() -> None:
    with pytest.raises(UnfitFrameError, match="SkuId"):
        project(pl.LazyFrame(schema=internal_schema()).drop("SkuId"), "1.2")


def test_an_unknown_column_is_refused_and_not_dropped() -> None:
    with pytest.raises(UnfitFrameError, match="Margin"):
        project(pl.LazyFrame(schema={**internal_schema(), "Margin": pl.String}), "1.2")

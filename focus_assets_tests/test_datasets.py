"""A dataset's order is the same whichever way rows are put into it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focus_assets import datasets
from focus_assets.datasets import RAW_USAGE

_TEXTS = st.sampled_from(["", "a", "A", "aa", "ä", "z", "\U0001f600", "{}", '{"a":"1"}', '{"a":""}'])
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_INSTANTS = st.integers(-(10**15), 10**15).map(lambda us: _EPOCH + dt.timedelta(microseconds=us))
_ROW = st.tuples(
    st.just(dt.date(2026, 8, 1)),
    _TEXTS,
    st.sampled_from(["window", "to_date"]),
    st.just("{}"),
    _INSTANTS,
    _INSTANTS,
    st.none() | _TEXTS,
    st.none() | _TEXTS,
    _TEXTS,
)


def _frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    # The value tells rows with the same key apart; such rows do not occur, for order is a whole key.
    whole = {row[1:3] + row[4:]: row for row in rows}
    return pl.DataFrame(
        [(*row, Decimal(i)) for i, row in enumerate(whole.values())], schema=RAW_USAGE.schema, orient="row"
    )


@given(st.lists(_ROW, max_size=30))
def test_rows_are_sorted_by_the_whole_order_with_nulls_first(rows: list[tuple[object, ...]]) -> None:
    frame = _frame(rows)
    key = [RAW_USAGE.columns.index(c) for c in RAW_USAGE.columns if c.name in RAW_USAGE.order]
    places = sorted(key, key=lambda i: RAW_USAGE.order.index(RAW_USAGE.columns[i].name))

    def by_hand(row: tuple[object, ...]) -> tuple[object, ...]:
        given = [row[i] for i in places]
        return tuple((v is not None, v.encode() if isinstance(v, str) else v) for v in given)

    assert RAW_USAGE.in_order(frame).rows() == sorted(frame.rows(), key=by_hand)


@given(st.lists(_ROW, min_size=2, max_size=10))
def test_keys_too_many_for_one_number_are_sorted_the_long_way(rows: list[tuple[object, ...]]) -> None:
    frame = _frame(rows)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(datasets, "_WHOLE_NUMBERS", 1)
        long_way = RAW_USAGE.in_order(frame)
    assert RAW_USAGE.in_order(frame).equals(long_way)


@pytest.mark.parametrize("subjects", [255, 256, 65_536])
def test_null_comes_first_however_many_texts_there_are(subjects: int) -> None:
    # As many as one or two bytes can number, and one more than that.
    texts = [None, *(f"{n:05}" for n in range(subjects))]
    frame = RAW_USAGE.empty().collect()
    rows = pl.DataFrame({"subject": texts[::-1]}).select(
        pl.col(c.name) if c.name == "subject" else pl.lit(None, c.dtype).alias(c.name)
        for c in RAW_USAGE.columns
    )
    assert RAW_USAGE.in_order(pl.concat([frame, rows]))["subject"].to_list() == texts

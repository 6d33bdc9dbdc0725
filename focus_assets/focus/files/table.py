"""Files that a person named, as one table: parts, types, and what to say about them.

What belongs here: putting files together. What does not: finding them (``places``) and their notations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from focus_assets.focus.columns import COST_AND_USAGE, FocusColumn, Level, ValueType, columns
from focus_assets.focus.files.columnar import Part, parts_of
from focus_assets.focus.files.csv_text import as_parquet
from focus_assets.focus.files.errors import UnusableInput
from focus_assets.focus.files.places import FoundFile, find_files
from focus_assets.focus.files.typed import declared, kept_as_text, readable, rules_for_types, typed
from focus_assets.focus.rules import AnyRule


@dataclass(frozen=True)
class Table:
    """Rows of one dataset out of one or more files.

    ``files`` are the names and their numbers of rows; ``parts`` frames with one schema in the types rules read;
    ``stored`` the types in the files; ``declared`` those that rules about types look at; ``notes`` sentences
    about how the files were read.
    """

    files: tuple[tuple[str, int], ...]
    parts: tuple[pl.LazyFrame, ...]
    stored: Mapping[str, pl.DataType]
    declared: pl.Schema
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(rows for _, rows in self.files)

    def file_of(self, row: int) -> tuple[str, int]:
        """The file that holds a row of the table, and the row's position in it; both from 1."""
        for name, rows in self.files:
            if row <= rows:
                return name, row
            row -= rows
        raise IndexError(row)


@contextmanager
def open_table(named: Sequence[str], dataset: str = COST_AND_USAGE) -> Iterator[Table]:
    """The files behind what a person named, as one table; copies go when the context ends.

    Args:
        named: files (CSV, gzip CSV, Parquet), folders of them, or addresses in an object store.
        dataset: a dataset of the registry.

    Raises:
        UnusableInput: nothing there, damaged, of different columns, or of types nobody could read.
    """
    with TemporaryDirectory(prefix="focus-assets-check-") as folder:
        fetched, converted = Path(folder) / "fetched", Path(folder) / "converted"
        fetched.mkdir()
        converted.mkdir()
        files = find_files(named, fetched, dataset)
        pieces = [_pieces(file, converted / f"{number}.parquet") for number, file in enumerate(files)]
        yield _table(files, pieces, columns(dataset=dataset))


def _pieces(file: FoundFile, converted: Path) -> list[Part]:
    if file.path.stat().st_size == 0:
        raise UnusableInput(f"{file.name} is empty.")
    return parts_of(file.path if file.parquet else as_parquet(file, converted), file.name)


def _table(
    files: Sequence[FoundFile], pieces: Sequence[Sequence[Part]], known: Sequence[FocusColumn]
) -> Table:
    schemas = [dict(parts[0].frame.collect_schema()) for parts in pieces]
    stored = _common(files, schemas)
    all_text = not any(file.parquet for file in files)
    _require_readable(files[0].name, stored, known)
    parts = [
        typed(_cast(part.frame, schema, stored), stored, known)
        for schema, of_file in zip(schemas, pieces, strict=True)
        for part in of_file
    ]
    table = Table(
        files=tuple((f.name, sum(p.rows for p in of)) for f, of in zip(files, pieces, strict=True)),
        parts=tuple(parts),
        stored=stored,
        declared=declared(stored, known, all_text=all_text),
        notes=tuple(_notes(stored, known)),
    )
    _require_numbers(table, known)
    return table


def _common(files: Sequence[FoundFile], schemas: Sequence[dict[str, pl.DataType]]) -> dict[str, pl.DataType]:
    first = dict(schemas[0])
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        if schema.keys() != first.keys():
            odd = ", ".join(sorted(schema.keys() ^ first.keys())[:5])
            raise UnusableInput(
                f"{file.name} has other columns than {files[0].name} ({odd}). Files given together are one "
                "table; check them one by one."
            )
        for name, dtype in schema.items():
            if dtype == first[name]:
                continue
            if isinstance(first[name], pl.Null):
                first[name] = dtype
            elif dtype.is_numeric() and first[name].is_numeric():
                first[name] = pl.Float64()
            elif not isinstance(dtype, pl.Null) and type(dtype) is not type(first[name]):
                raise UnusableInput(
                    f"{name} is {dtype} in {file.name} and {first[name]} in {files[0].name}. "
                    "Files given together are one table; check them one by one."
                )
    return first


def _cast(
    frame: pl.LazyFrame, found: Mapping[str, pl.DataType], wanted: Mapping[str, pl.DataType]
) -> pl.LazyFrame:
    casts = [pl.col(name).cast(dtype) for name, dtype in wanted.items() if found[name] != dtype]
    return frame.select(*wanted).with_columns(casts)


def _require_readable(name: str, stored: Mapping[str, pl.DataType], known: Iterable[FocusColumn]) -> None:
    wrong = [
        f"{c.id} is stored as {stored[c.id]} and must be {_should_be(c)}"
        for c in known
        if c.id in stored and Level.MANDATORY in c.levels.values() and not readable(c, stored[c.id])
    ]
    if wrong:
        raise UnusableInput(
            f"{name} holds types that cannot be read: {'; '.join(wrong)}. Nothing was checked."
        )


def _should_be(column: FocusColumn) -> str:
    return {ValueType.DECIMAL: "a number", ValueType.DATE_TIME: "an instant"}.get(column.type, "text")


def _require_numbers(table: Table, known: Iterable[FocusColumn]) -> None:
    """A mandatory number of which not one can be read is another kind of file, not a thousand violations."""
    texts = [
        c.id
        for c in known
        if c.type is ValueType.DECIMAL
        and Level.MANDATORY in c.levels.values()
        and c.id in table.stored
        and kept_as_text(c, table.stored[c.id])
    ]
    if not texts:
        return
    written = [pl.col(f"\0text {name}").is_not_null().any().alias(f"\0{name}") for name in texts]
    some = [
        part.select(*(pl.col(name).is_not_null().any() for name in texts), *written).collect(
            engine="streaming"
        )
        for part in table.parts
    ]
    seen = pl.concat(some).select(pl.all().any()).row(0, named=True)
    if empty := [name for name in texts if seen[f"\0{name}"] and not seen[name]]:
        raise UnusableInput(
            f"{table.files[0][0]} holds types that cannot be read: not one value of {', '.join(empty)} is a "
            "number. Nothing was checked."
        )


def _notes(stored: Mapping[str, pl.DataType], known: Sequence[FocusColumn]) -> Iterator[str]:
    here = [(column, stored[column.id]) for column in known if column.id in stored]
    if floats := [c.id for c, t in here if c.type is ValueType.DECIMAL and t.is_float()]:
        yield (
            f"Kept as floats: {', '.join(floats)}. Costs are compared with a relative tolerance of 1e-9; "
            "decimals would be compared exactly."
        )
    if naive := [c.id for c, t in here if isinstance(t, pl.Datetime) and t.time_zone is None]:
        yield f"Without a time zone, read as UTC: {', '.join(naive)}."
    if zoned := [c.id for c, t in here if isinstance(t, pl.Datetime) and t.time_zone not in (None, "UTC")]:
        yield f"In another time zone, converted to UTC: {', '.join(zoned)}."
    if [c.id for c, t in here if c.type is ValueType.DECIMAL and kept_as_text(c, t)]:
        yield "Numbers are kept as text. Costs are compared with a relative tolerance of 1e-9."


def rules_for_table(
    rules: Iterable[AnyRule], table: Table, dataset: str = COST_AND_USAGE
) -> tuple[AnyRule, ...]:
    """The rules of FOCUS as they apply to a table; rules about this project's own columns are left out."""
    foreign = (rule for rule in rules if not rule.id.partition(".")[2].startswith("x_"))
    return rules_for_types(foreign, table.stored, columns(dataset=dataset))

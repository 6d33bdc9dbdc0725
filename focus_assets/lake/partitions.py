"""The lake: datasets partitioned by day, one file each, written whole and read only if proven.

What belongs here: writing, recording and reading partitions. What does not: how stores put objects
(``folder``, ``bucket``), who may write (``lease``) and what the datasets mean.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from focus_assets.lake import lineage, paths
from focus_assets.lake.copies import PAUSES, VerifiedCopies, temporary_folder
from focus_assets.lake.errors import CorruptPartition, MissingPartitions
from focus_assets.lake.folder import FolderStore
from focus_assets.lake.lease import DEFAULT_EXPIRY, hold
from focus_assets.lake.lease_note import Lease
from focus_assets.lake.records import PartitionRecord, canonical_json
from focus_assets.lake.store import ObjectStore, open_store

_ROW_GROUP: Final = 250_000
_PARALLEL_READS: Final = 16
_NO_INPUTS: Final[Mapping[str, str]] = {}


class Lake:
    """Partitions of datasets in a folder or bucket: one writer, many readers.

    A partition is ``<dataset>/charge_date=YYYY-MM-DD/part-0.parquet`` and beside it ``_record.json``, which
    holds the file's sha256. The file is replaced first, then the record; a reader accepts only a pair that
    agrees, so a killed writer is noticed and never believed.
    """

    def __init__(self, store: ObjectStore, *, lease_expiry: dt.timedelta = DEFAULT_EXPIRY) -> None:
        self.store = store
        self._lease_expiry = lease_expiry
        self.url = store.url
        self._copies = VerifiedCopies(store)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        options: Mapping[str, str] | None = None,
        credential_provider: Callable[[], Any] | None = None,
    ) -> Lake:
        """The lake at a URL as :func:`open_store` takes it; it may be empty or not exist yet.

        Raises:
            StoreError: the URL or an option is not one a store can have.
        """
        return cls(open_store(url, options, credential_provider))

    def path(self, dataset: str, day: dt.date) -> str:
        """Path of the partition's Parquet file, below the lake's root."""
        return paths.data_path(dataset, day)

    def writer(self, holder: str, *, wait: dt.timedelta = dt.timedelta(0)) -> AbstractContextManager[Lease]:
        """Be the lake's only writer; ``holder`` is the name others are told.

        Writers of one process share the lease. :meth:`write` takes it for itself where nobody here holds it.

        Raises:
            LakeBusy: another process is writing and did not end within ``wait``.
        """
        return hold(self.store, holder, wait=wait, expiry=self._lease_expiry)

    def write(
        self,
        dataset: str,
        day: dt.date,
        frame: pl.LazyFrame,
        *,
        inputs: Mapping[str, str] = _NO_INPUTS,
        facts: Callable[[pl.LazyFrame], Mapping[str, Any]] | None = None,
    ) -> PartitionRecord:
        """Compute ``frame`` into the partition, streaming, and return its record.

        The rows keep the frame's order: sort it, for equal content to be equal bytes. ``facts`` is called
        with a frame over the finished file. Bytes and record that are there already are left untouched.

        Raises:
            LakeBusy: another process is the writer.
            LeaseLost: it was taken over meanwhile; nothing was replaced.
            StoreError: the store refuses.
        """
        path = paths.data_path(dataset, day)
        with self.writer(f"write of {dataset} {paths.iso_day(day)}") as lease:
            finished = self._temporary(path)
            try:
                _sink(frame, finished)
                record = _describe(dataset, day, finished, inputs, facts)
                lease.ensure()
                self._publish(path, finished, record)
            finally:
                finished.unlink(missing_ok=True)
        return record

    def put_note(self, dataset: str, day: dt.date, note: Mapping[str, str]) -> None:
        """Put what differs between equal runs beside the partition; nothing is computed from it."""
        self.store.put(paths.note_path(dataset, day), canonical_json(note))

    def note(self, dataset: str, day: dt.date) -> dict[str, str]:
        """What :meth:`put_note` put there last; empty where there is none."""
        data = self.store.get_or_none(paths.note_path(dataset, day))
        return {} if data is None else {str(key): str(text) for key, text in json.loads(data).items()}

    def record(self, dataset: str, day: dt.date) -> PartitionRecord | None:
        """What the partition is said to be, or None where the lake has no record of it.

        Raises:
            CorruptPartition: what lies in the record's place is not this partition's record.
        """
        data = self.store.get_or_none(paths.record_path(dataset, day))
        if data is None:
            return None
        try:
            record = PartitionRecord.from_json(data)
        except ValueError as error:
            raise CorruptPartition(dataset, day, self.url, f"its record is unreadable ({error})") from error
        if (record.dataset, record.day) != (dataset, day):
            what = f"its record is that of {paths.input_key(record.dataset, record.day)}"
            raise CorruptPartition(dataset, day, self.url, what)
        return record

    def records(self, dataset: str, days: Sequence[dt.date]) -> dict[dt.date, PartitionRecord]:
        """The records of ``days``, in order of days, each day once.

        Raises:
            MissingPartitions: names every day the lake does not hold.
            CorruptPartition: a day's file lies there without a record, or its record is unreadable.
        """
        wanted = sorted(set(days))
        read = self._each(lambda day: self._settled_record(dataset, day), wanted)
        found = {day: record for day, record in zip(wanted, read, strict=True) if record is not None}
        if len(found) < len(wanted):
            raise MissingPartitions(dataset, [day for day in wanted if day not in found], self.url)
        return found

    def digests(self, dataset: str, days: Sequence[dt.date]) -> dict[str, str]:
        """``inputs`` for :meth:`write`: input key and sha256 of each day; errors as :meth:`records`."""
        return {
            paths.input_key(dataset, day): record.sha256
            for day, record in self.records(dataset, days).items()
        }

    def scan(self, dataset: str, days: Sequence[dt.date]) -> pl.LazyFrame:
        """The rows of ``days`` in order of days, each day once, every file proven against its record.

        Collect the frame before the same days are written again: a folder is read in place.

        Raises:
            MissingPartitions: names every day the lake does not hold.
            CorruptPartition: a file is not what its record says.
            ValueError: no days; what columns "nothing" has is the caller's knowledge.
        """
        return pl.scan_parquet(
            self.files(dataset, days), hive_partitioning=False, glob=False, missing_columns="raise"
        )

    def files(self, dataset: str, days: Sequence[dt.date]) -> list[Path]:
        """Local, proven Parquet files of ``days``, one each, in order of days; errors as :meth:`scan`."""
        if not days:
            raise ValueError(f"no days of {dataset} were asked for")
        records = self.records(dataset, days)
        return self._each(
            lambda record: self._copies.file(record, lambda: self.record(dataset, record.day)),
            list(records.values()),
        )

    def days(self, dataset: str) -> list[dt.date]:
        """The days the lake has records of, sorted; lists the store."""
        found = (paths.day_of_record(info.path) for info in self.store.list(paths.dataset_name(dataset)))
        return sorted(day for day in found if day is not None)

    def stale_inputs(self, dataset: str, day: dt.date) -> list[str]:
        """Keys of the partition's inputs, and of theirs, that the lake now holds differently or not at all.

        Raises:
            MissingPartitions: the lake has no record of the partition itself.
        """
        return self.stale_inputs_of(dataset, [day])[day]

    def stale_inputs_of(self, dataset: str, days: Sequence[dt.date]) -> dict[dt.date, list[str]]:
        """:meth:`stale_inputs` of many days, reading each record once."""
        records = self.records(dataset, days)
        stale = lineage.stale_inputs(list(records.values()), self.record)
        return {day: keys for (_, day), keys in stale.items()}

    def _settled_record(self, dataset: str, day: dt.date) -> PartitionRecord | None:
        """The record, or None where there is no file either; a writer between the two is waited for."""
        for pause in (*PAUSES, None):
            record = self.record(dataset, day)
            if record is not None or not self.store.exists(paths.data_path(dataset, day)):
                return record
            if pause is not None:
                time.sleep(pause)
        raise CorruptPartition(dataset, day, self.url, "its file has no record")

    def _temporary(self, path: str) -> Path:
        if isinstance(self.store, FolderStore):
            return self.store.temporary(path)
        return temporary_folder() / f"{hashlib.sha256(path.encode()).hexdigest()}.writing"

    def _publish(self, path: str, finished: Path, record: PartitionRecord) -> None:
        # The bytes are compared, not only the records: a damaged file is repaired by writing the day again.
        if not self._copies.matches(record):
            if isinstance(self.store, FolderStore):
                self.store.publish(path, finished)
            else:
                self._copies.adopt(record, finished, self.store.put_file(path, finished))
        sidecar = paths.record_path(record.dataset, record.day)
        if self.store.get_or_none(sidecar) != record.to_json():
            self.store.put(sidecar, record.to_json())

    def _each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        if self.store.local_root is not None or len(items) < 2:
            return [work(item) for item in items]
        # A month to date is 31 requests to a bucket; one after the other they take seconds.
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            return list(pool.map(work, items))


def _sink(frame: pl.LazyFrame, file: Path) -> None:
    # An open file, not its path: Polars may open a path after it has reported the plan's failure, and so
    # create the file again that was just removed (26 of 400 failing sinks did).
    with file.open("wb", buffering=0) as out:
        frame.sink_parquet(
            out,
            compression="zstd",
            statistics=True,
            row_group_size=_ROW_GROUP,
            maintain_order=True,
            engine="streaming",
        )


def _describe(
    dataset: str,
    day: dt.date,
    file: Path,
    inputs: Mapping[str, str],
    facts: Callable[[pl.LazyFrame], Mapping[str, Any]] | None,
) -> PartitionRecord:
    written = pl.scan_parquet(file, glob=False, hive_partitioning=False)
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    record = PartitionRecord(
        dataset=dataset,
        day=day,
        sha256=sha256,
        bytes=file.stat().st_size,
        rows=written.select(pl.len()).collect().item(),
        inputs=dict(sorted(inputs.items())),
        facts={},
    )
    if facts is None:
        return record
    # As the record will be read back: lists for tuples, text keys.
    return replace(record, facts=json.loads(canonical_json(facts(written))))

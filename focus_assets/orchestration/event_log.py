"""Dagster's SQLite event log with its files kept open, for the runs of this process.

What belongs here: that storage. What does not: which instance there is (``instance``).

Dagster's own opens its file, asks which columns it has, compiles its statement and closes the file again for every
event, twice for events of assets; in range runs that was 39 % of the CPU seconds (``benchmarks/chain.py``). The
events of a range, planned and materialized, are one transaction for the run and one for the index. The files are the
same, so that the UI and the daemon read them with Dagster's own class. Events of a run are not forced to the disc one
by one: a killed process loses none of them, and a machine that loses its power the last few. Those in the index of
all runs are, for sensors keep their place in it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from dagster._core.events.log import EventLogEntry
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

BATCHES: Final = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}
"""The environment in which Dagster hands over the events of a range together."""

_KEPT_OPEN: Final = 2
"""The index of all runs, and the run that is going on."""


class OpenSqliteEventLogStorage(SqliteEventLogStorage):
    """The same files and rows as SqliteEventLogStorage writes; those written last stay open until it is disposed."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._known: set[str] = set()
        self._joined: dict[str, Connection] = {}
        self._empty: bytes | None = None
        super().__init__(base_dir, inst_data)
        # A batch holds it while each of its events asks for it again.
        self._db_lock: Any = threading.RLock()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events all or none: in one transaction for their run, and one for the index."""
        shards = {INDEX_SHARD_NAME, *(event.run_id for event in events)}
        if len(shards) > _KEPT_OPEN:
            super().store_event_batch(events)
            return
        with self._db_lock, ExitStack() as until_all_are_stored:
            for shard in sorted(shards):
                self._joined[shard] = until_all_are_stored.enter_context(self._connect(shard))
                until_all_are_stored.callback(self._joined.pop, shard)
            super().store_event_batch(events)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard in self._joined:
                yield self._joined[shard]
                return
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """As Dagster's; the file of a later run begins as that of the first did, so Alembic is asked once."""
        file = Path(str(engine.url.database))
        if not for_index_shard and self._empty is not None and _put(file, self._empty):
            return
        new = not file.exists()
        super()._initdb(engine, for_index_shard)
        if new and not for_index_shard:
            with closing(sqlite3.connect(file)) as connection:
                self._empty = connection.serialize()

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None)
        if engine is None:
            timeout = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
            engine = create_engine(self.conn_string_for_shard(shard), connect_args=timeout)
            if shard != INDEX_SHARD_NAME:
                event.listen(engine, "connect", _not_forced_one_by_one)
        self._engines[shard] = engine
        while len(self._engines) > _KEPT_OPEN:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def has_table(self, table_name: str) -> bool:
        """As Dagster's, and not asked again of a table that is there."""
        return self._knows(table_name, lambda: super(OpenSqliteEventLogStorage, self).has_table(table_name))

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        has = super()._has_asset_key_col_on_connection
        return self._knows(f"asset_keys.{column_name}", lambda: has(conn, column_name))

    def _knows(self, name: str, look: Callable[[], bool]) -> bool:
        if name not in self._known and look():
            self._known.add(name)
        return name in self._known

    def wipe(self) -> None:
        """Delete every event; files that go are closed first."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close the files."""
        self._close()
        super().dispose()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _put(file: Path, content: bytes) -> bool:
    """Make ``file`` hold ``content`` if it is not there yet; never half of it."""
    draft = file.with_name(f".{file.name}.new")
    draft.write_bytes(content)
    try:
        os.link(draft, file)
    except OSError:
        return False
    finally:
        draft.unlink()
    return True


def _not_forced_one_by_one(connection: Any, _: Any) -> None:
    # With the write-ahead log, which Dagster sets, a file stays whole whatever happens.
    connection.execute("PRAGMA synchronous = NORMAL")


class OpenSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage with an event log that is kept open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage.dispose()
        self._event_log_storage = OpenSqliteEventLogStorage(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> OpenSqliteStorage:
        """What Dagster makes a storage with."""
        return cls.from_local(inst_data=inst_data, **config_value)


def kept_open(instance: InstanceRef) -> InstanceRef:
    """``instance`` with its SQLite event log kept open; as it is where its events go elsewhere."""
    storage = instance.storage_data
    if storage is None or storage.class_name != DagsterSqliteStorage.__name__:
        return instance
    own = ConfigurableClassData(__name__, OpenSqliteStorage.__name__, storage.config_yaml)
    return instance._replace(storage_data=own)

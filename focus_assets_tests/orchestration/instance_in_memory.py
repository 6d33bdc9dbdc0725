"""An instance of Dagster in memory whose event log keeps one connection, for tests that run the chain many times.

Dagster's own opens a connection and sets it up for every event: 7 of 110 CPU seconds of ``test_emptied_months``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage


def instance_in_memory() -> dg.DagsterInstance:
    """As ``DagsterInstance.ephemeral()``; other threads than this one get connections of their own."""
    instance = dg.DagsterInstance.ephemeral()
    storage = instance.event_log_storage
    assert isinstance(storage, InMemoryEventLogStorage)
    _keep_connection(storage)
    return instance


def _keep_connection(storage: Any) -> None:
    owner, own = threading.get_ident(), storage._connect

    @contextmanager
    def kept() -> Iterator[Any]:
        with storage._db_lock, storage._held_conn.begin():
            yield storage._held_conn

    def connect() -> AbstractContextManager[Any]:
        return kept() if threading.get_ident() == owner else own()

    storage._connect = connect

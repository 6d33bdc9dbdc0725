"""The event log that is kept open: the same files as Dagster's own, for whoever reads them next."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

from focus_assets.orchestration.event_log import BATCHES, OpenSqliteEventLogStorage, kept_open

DAYS = dg.DailyPartitionsDefinition("2026-08-01", end_date="2026-08-04")


@dg.asset(partitions_def=DAYS)
def usage(context: dg.AssetExecutionContext) -> None:
    context.add_output_metadata({"days": len(context.partition_keys)})


def opened(home: Path, *, keeping: bool) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    own = InstanceRef.from_dir(str(home))
    return dg.DagsterInstance.from_ref(kept_open(own) if keeping else own)


def materializations(instance: dg.DagsterInstance, run_id: str) -> int:
    return len(instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION))


def days_and_times(instance: dg.DagsterInstance) -> list[tuple[str | None, float]]:
    records = instance.fetch_materializations(usage.key, limit=100).records
    return [(each.partition_key, each.timestamp) for each in records]


def days_materialized(instance: dg.DagsterInstance) -> set[str]:
    return set(instance.get_materialized_partitions(usage.key))


@pytest.mark.parametrize("keeping", [True, False])
def test_what_one_class_writes_the_other_reads_and_goes_on_with(tmp_path: Path, keeping: bool) -> None:
    with opened(tmp_path, keeping=keeping) as first:
        job = dg.define_asset_job("job", [usage])
        resolved = dg.Definitions([usage], jobs=[job]).resolve_job_def("job")
        tags = {"dagster/asset_partition_range_start": "2026-08-01"}
        result = resolved.execute_in_process(
            instance=first, tags=tags | {"dagster/asset_partition_range_end": "2026-08-02"}
        )
        assert result.success
    with opened(tmp_path, keeping=not keeping) as second:
        assert days_materialized(second) == {"2026-08-01", "2026-08-02"}
        again = resolved.execute_in_process(
            instance=second,
            tags=tags
            | {
                "dagster/asset_partition_range_start": "2026-08-03",
                "dagster/asset_partition_range_end": "2026-08-03",
            },
        )
        assert again.success
        counts = [materializations(second, run.run_id) for run in (result, again)]
        assert counts == [2, 1]
    with opened(tmp_path, keeping=keeping) as third:
        assert days_materialized(third) == {"2026-08-01", "2026-08-02", "2026-08-03"}
        record = third.get_latest_materialization_event(usage.key)
        assert record is not None
        assert record.run_id == again.run_id


def test_no_more_than_two_files_are_open_and_none_once_it_is_disposed(tmp_path: Path) -> None:
    with opened(tmp_path, keeping=True) as instance:
        log = instance.event_log_storage
        assert isinstance(log, OpenSqliteEventLogStorage)
        for _ in range(4):
            assert dg.materialize([usage], instance=instance, partition_key="2026-08-01").success
            assert len(log._engines) == 2
    assert not log._engines


def test_events_can_be_wiped_and_written_again(tmp_path: Path) -> None:
    with opened(tmp_path, keeping=True) as instance:
        assert dg.materialize([usage], instance=instance, partition_key="2026-08-01").success
        instance.event_log_storage.wipe()
        assert days_materialized(instance) == set()
        assert dg.materialize([usage], instance=instance, partition_key="2026-08-02").success
        assert days_materialized(instance) == {"2026-08-02"}


def test_another_storage_stays_as_it_is(tmp_path: Path) -> None:
    own = InstanceRef.from_dir(str(tmp_path))
    postgres = ConfigurableClassData("dagster_postgres", "DagsterPostgresStorage", "{}\n")
    elsewhere = own._replace(storage_data=postgres)
    assert kept_open(elsewhere) is elsewhere
    with dg.DagsterInstance.from_ref(own) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage


def test_a_file_stays_whole_without_each_event_being_forced_to_the_disc(tmp_path: Path) -> None:
    with opened(tmp_path, keeping=True) as instance:
        assert dg.materialize([usage], instance=instance, partition_key="2026-08-01").success
        log = instance.event_log_storage
        assert isinstance(log, OpenSqliteEventLogStorage)
        assert log._engines
        for shard in list(log._engines):
            with log._connect(shard) as connection:
                # Only the write-ahead log makes NORMAL (1) safe; sensors keep their place in the index (FULL, 2).
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
                forced = connection.exec_driver_sql("PRAGMA synchronous").scalar()
                assert forced == (2 if shard == "index" else 1)


def range_materialized(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = dg.Definitions([usage], jobs=[dg.define_asset_job("job", [usage])]).resolve_job_def("job")
    tags = {
        "dagster/asset_partition_range_start": "2026-08-01",
        "dagster/asset_partition_range_end": "2026-08-03",
    }
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def test_events_of_a_range_that_are_stored_together_are_those_that_are_stored_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, batches in {"together": BATCHES, "one by one": {}}.items():
        (tmp_path / name).mkdir()
        with monkeypatch.context() as patch, opened(tmp_path / name, keeping=True) as instance:
            for variable in BATCHES:
                patch.setenv(variable, batches.get(variable, "0"))
            run_id = range_materialized(instance).run_id
        with opened(tmp_path / name, keeping=False) as instance:
            latest = instance.get_latest_materialization_event(usage.key)
            assert latest is not None
            assert latest.run_id == run_id
            found.append(
                (
                    [
                        (each.dagster_event_type, each.get_dagster_event().partition)
                        for each in instance.all_logs(run_id)
                    ],
                    days_materialized(instance),
                    latest.get_dagster_event().partition,
                )
            )
    assert found[0] == found[1]
    assert found[0][1:] == ({"2026-08-01", "2026-08-02", "2026-08-03"}, "2026-08-03")


def test_of_a_batch_that_cannot_be_stored_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, keeping=True) as instance:
        run_id = range_materialized(instance).run_id
        log = instance.event_log_storage
        assert isinstance(log, OpenSqliteEventLogStorage)
        before = len(instance.all_logs(run_id)), len(days_and_times(instance))
        written = [
            each
            for each in instance.all_logs(run_id)
            if each.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
        ]
        store_asset_event, asked = log._store_asset_event, []

        def full_at_the_second(connection: Any, event: Any, event_id: int) -> None:
            asked.append(event)
            if len(asked) == 2:
                raise OSError("no space left on device")
            store_asset_event(connection, event, event_id)

        monkeypatch.setattr(log, "_store_asset_event", full_at_the_second)
        with pytest.raises(OSError, match="no space left"):
            log.store_event_batch(written)
        assert (len(instance.all_logs(run_id)), len(days_and_times(instance))) == before
        log.store_event_batch(written)
        assert len(instance.all_logs(run_id)) == before[0] + 3
        assert len(days_and_times(instance)) == before[1] + 3


def test_the_file_of_a_later_run_begins_as_dagsters_own(tmp_path: Path) -> None:
    with opened(tmp_path, keeping=True) as instance:
        first, later = (
            dg.materialize([usage], instance=instance, partition_key="2026-08-01").run_id for _ in range(2)
        )

    def schema(run_id: str) -> list[Any]:
        with closing(sqlite3.connect(tmp_path / "history" / "runs" / f"{run_id}.db")) as connection:
            asked = ("select sql from sqlite_master order by name", "select * from alembic_version")
            modes = ("pragma journal_mode", "pragma page_size", "pragma integrity_check")
            return [connection.execute(each).fetchall() for each in (*asked, *modes)]

    assert schema(later) == schema(first)
    with opened(tmp_path, keeping=False) as instance:
        assert [materializations(instance, run_id) for run_id in (first, later)] == [1, 1]


def test_a_file_that_somebody_else_began_is_gone_on_with(tmp_path: Path) -> None:
    """The UI may ask for the events of a run before the first is stored."""
    with opened(tmp_path, keeping=True) as instance:
        assert dg.materialize([usage], instance=instance, partition_key="2026-08-01").success
        asked = "11111111-1111-4111-8111-111111111111"
        with opened(tmp_path, keeping=False) as other:
            assert other.all_logs(asked) == []
        job = dg.Definitions([usage], jobs=[dg.define_asset_job("job", [usage])]).resolve_job_def("job")
        again = job.execute_in_process(instance=instance, run_id=asked, partition_key="2026-08-02")
        assert again.success
        assert materializations(instance, asked) == 1

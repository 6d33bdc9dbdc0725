"""The event log that is kept open: the same files as Dagster's own, for whoever reads them next."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

from focus_assets.orchestration.event_log import OpenSqliteEventLogStorage, kept_open

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

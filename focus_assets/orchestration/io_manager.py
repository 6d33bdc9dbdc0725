"""The IO manager: days go to the lake one by one, and come back only after they were checked.

What belongs here: the bridge between Dagster's partitions and the lake. What does not: how the lake writes.
"""

import datetime as dt
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar

import dagster as dg
import polars as pl
from pydantic import PrivateAttr

from focus_assets.chain import Upstream
from focus_assets.lake import Lake
from focus_assets.orchestration.days import Days
from focus_assets.orchestration.failures import explained
from focus_assets.orchestration.metadata import partition_metadata, run_metadata
from focus_assets.orchestration.partitions import day
from focus_assets.orchestration.resources import LakeResource

day_written: ContextVar[Callable[[str, dt.date], None] | None] = ContextVar("day_written", default=None)
"""Called after each day of each dataset; a progress bar listens here."""


class LakeIOManager(dg.ConfigurableIOManager):
    """Stores each asset partition as ``<lake>/<asset>/charge_date=YYYY-MM-DD/part-0.parquet``.

    An asset returns an iterator of :class:`~focus_assets.chain.DayOutput` in the order of its partitions; each
    day is written before the next is computed, with its own metadata. The first write of a run takes the lake's
    writer lease, the end of the run gives it back.

    An input annotated as :class:`~focus_assets.chain.Upstream` is handed over unread; any other becomes one
    ``polars.LazyFrame`` over the run's days. A materialization record is a claim about the lake, not the lake:
    a day that is missing or differs from its digest fails the read.
    """

    lake: dg.ResourceDependency[LakeResource]

    _run: ExitStack = PrivateAttr(default_factory=ExitStack)
    _writing: bool = PrivateAttr(default=False)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Give the writer lease back and put the SQL views in place, if anything was written."""
        try:
            if self._writing:
                self.lake.refresh_views()
        finally:
            self._writing = False
            self._run.close()

    def handle_output(self, context: dg.OutputContext, obj: Days) -> None:
        with explained():
            self._write(context, obj)

    def _write(self, context: dg.OutputContext, obj: Days) -> None:
        lake = self._lake_for_writing(context.run_id)
        dataset = context.asset_key.path[-1]
        expected = [day(key) for key in context.asset_partition_keys]
        written: list[dt.date] = []
        for output in obj:
            record = lake.write(dataset, output.day, output.frame, inputs=output.inputs, facts=output.facts)
            written.append(output.day)
            metadata = partition_metadata(lake, record) | dict(output.note)
            if output.note:
                lake.put_note(dataset, output.day, output.note)
            if output.day == expected[-1]:
                metadata |= run_metadata(lake, dataset, output.day)
            context.step_context.add_asset_metadata(
                metadata, asset_key=context.asset_key, partition_key=f"{output.day:%F}"
            )
            if listener := day_written.get():
                listener(dataset, output.day)
        if written != expected:
            raise dg.DagsterInvariantViolationError(
                f"{dataset} gave the days {written}, but the run is of the days {expected}"
            )

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | Upstream:
        with explained():
            upstream = Upstream(
                self.lake.open(),
                context.asset_key.path[-1],
                [day(key) for key in context.asset_partition_keys],
            )
            if context.dagster_type.typing_type is Upstream:
                return upstream
            return upstream.lake.scan(upstream.dataset, upstream.days)

    def _lake_for_writing(self, run_id: str) -> Lake:
        lake = self.lake.open()
        if not self._writing:
            self._run.enter_context(lake.writer(f"run {run_id}", wait=self.lake.lease_wait()))
            self._writing = True
        return lake

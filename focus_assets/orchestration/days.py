"""What an asset hands to the IO manager: the days of a run, computed one by one as they are written."""

from collections.abc import Iterator

import dagster as dg

from focus_assets.chain import DayOutput
from focus_assets.orchestration.failures import explained


class Days:
    """Days in the order of a run's partitions; an error on the way is explained.

    Not a generator: Dagster would take one for the events of the op itself.
    """

    def __init__(self, outputs: Iterator[DayOutput]) -> None:
        self._outputs = outputs

    def __iter__(self) -> Iterator[DayOutput]:
        with explained():
            yield from self._outputs


DAYS = dg.DagsterType(
    name="Days",
    description="The days of a run, in order, computed one by one as the IO manager writes them.",
    type_check_fn=lambda _, value: isinstance(value, Days),
)

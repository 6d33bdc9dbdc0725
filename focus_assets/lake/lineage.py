"""Which inputs of a partition have changed since it was computed.

What belongs here: comparing recorded digests with the lake's. What does not: what to do about it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from focus_assets.lake.paths import partition_of_input
from focus_assets.lake.records import PartitionRecord

Partition = tuple[str, dt.date]


def stale_inputs(
    targets: Sequence[PartitionRecord], current: Callable[[str, dt.date], PartitionRecord | None]
) -> dict[Partition, list[str]]:
    """For each partition the input keys, sorted, whose digest in the lake is not the one recorded.

    Inputs of inputs count too: a total that is unchanged but whose usage was restated makes what was rated
    from it stale. A partition that is gone from the lake is stale; inputs outside the lake are not judged.
    """
    records: dict[Partition, PartitionRecord | None] = {(r.dataset, r.day): r for r in targets}

    def record(partition: Partition) -> PartitionRecord | None:
        if partition not in records:
            records[partition] = current(*partition)
        return records[partition]

    def own_stale(of: PartitionRecord) -> tuple[set[str], list[Partition]]:
        stale: set[str] = set()
        upstream: list[Partition] = []
        for key, sha256 in of.inputs.items():
            partition = partition_of_input(key)
            if partition is None:
                continue
            found = record(partition)
            if found is None or found.sha256 != sha256:
                stale.add(key)
            if found is not None:
                upstream.append(partition)
        return stale, upstream

    judged: dict[Partition, tuple[set[str], list[Partition]]] = {}
    result: dict[Partition, list[str]] = {}
    for target in targets:
        stale: set[str] = set()
        seen: set[Partition] = set()
        waiting: list[Partition] = [(target.dataset, target.day)]
        while waiting:
            partition = waiting.pop()
            if partition in seen:
                continue
            seen.add(partition)
            if partition not in judged:
                found = record(partition)
                judged[partition] = (set(), []) if found is None else own_stale(found)
            own, upstream = judged[partition]
            stale |= own
            waiting.extend(upstream)
        result[(target.dataset, target.day)] = sorted(stale)
    return result

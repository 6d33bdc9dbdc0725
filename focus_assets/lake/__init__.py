"""The lake: files by dataset and day in a folder or bucket, written whole, read only if proven.

Start with :class:`Lake`; :func:`open_store` gives plain objects at the same kinds of URL.
"""

from focus_assets.lake.errors import (
    ConditionFailed,
    CorruptPartition,
    LakeBusy,
    LeaseLost,
    MissingPartitions,
    ObjectNotFound,
    StoreError,
    day_ranges,
)
from focus_assets.lake.lease_note import Lease
from focus_assets.lake.partitions import Lake
from focus_assets.lake.paths import input_key, partition_of_input
from focus_assets.lake.records import PartitionRecord, canonical_json
from focus_assets.lake.store import ObjectInfo, ObjectStore, StoredObject, open_store

__all__ = [
    "ConditionFailed",
    "CorruptPartition",
    "Lake",
    "LakeBusy",
    "Lease",
    "LeaseLost",
    "MissingPartitions",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectStore",
    "PartitionRecord",
    "StoreError",
    "StoredObject",
    "canonical_json",
    "day_ranges",
    "input_key",
    "open_store",
    "partition_of_input",
]

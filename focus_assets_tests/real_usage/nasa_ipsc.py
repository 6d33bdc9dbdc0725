"""The NASA Ames iPSC/860 log of 1993 as CloudEvents: 18,239 jobs of 69 users on 128 nodes.

Thanks to Bill Nitzberg for the log and to Dror Feitelson for its conversion (Parallel Workloads Archive,
Standard Workload Format 2.2). The log's own days are Pacific; here a job counts on the UTC day on which it
starts, so the last jobs fall on 1 January 1994. 173 jobs ran for less than a second and use nothing.
"""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from focus_assets_tests.real_usage.event_files import write_by_day, write_configuration

NASA_LOG = "NASA-iPSC-1993-3.1-cln.swf.gz"
FIRST_DAY = dt.date(1993, 10, 1)
LAST_DAY = dt.date(1994, 1, 1)
JOBS = 18_239
USERS = 69

TIERS = (("100000", "0.0004"), ("5000000", "0.00025"), (None, "0.00015"))
"""The graduated price of a user's node-seconds in a month: upper bound, price of one."""


@dataclass(frozen=True)
class _Job:
    number: int
    start: dt.datetime
    seconds: int
    processors: int
    user: int
    group: int
    application: int


def nasa_jobs(log: Path, out_dir: Path) -> Path:
    """Write the log's jobs as events and the configuration that prices them; returns the ``focus.yaml``.

    A job is one event at its start: run time × processors as ``node_seconds``, its user as subject
    ``user-N``, group and application as texts (null where the log does not know). Every user is a customer
    of the one plan.
    """
    jobs = list(_jobs(log))
    write_by_day(out_dir / "data" / "events", map(_event, jobs))
    return write_configuration(out_dir, _configuration(sorted({job.user for job in jobs})))


def _jobs(log: Path) -> Iterator[_Job]:
    origin: dt.datetime | None = None
    with gzip.open(log, "rt", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("; UnixStartTime:"):
                origin = dt.datetime.fromtimestamp(int(line.split(":")[1]), dt.UTC)
            if line.startswith(";") or not line.strip():
                continue
            assert origin is not None, "the log has no UnixStartTime"
            fields = [int(field) for field in line.split()]
            yield _Job(
                number=fields[0],
                start=origin + dt.timedelta(seconds=fields[1]),
                seconds=fields[3],
                processors=fields[4],
                user=fields[11],
                group=fields[12],
                application=fields[13],
            )


def _event(job: _Job) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "job.run",
        "source": "nasa-ipsc-860",
        "id": f"job-{job.number}",
        "subject": f"user-{job.user}",
        "time": f"{job.start:%Y-%m-%dT%H:%M:%SZ}",
        "data": {
            "node_seconds": job.seconds * job.processors,
            "group": None if job.group < 0 else f"group-{job.group}",
            "application": None if job.application < 0 else f"application-{job.application}",
        },
    }


def _configuration(users: list[int]) -> dict[str, Any]:
    tiers = [{"up_to_amount": bound, "unit_price": price} for bound, price in TIERS]
    return {
        "start_date": FIRST_DAY,
        "as_of": dt.datetime(1994, 1, 3, tzinfo=dt.UTC),
        "defaults": {"provider_name": "iPSC/860", "currency": "USD"},
        "meters": [
            {
                "slug": "node_seconds",
                "name": "Node-Seconds",
                "event_type": "job.run",
                "aggregation": "SUM",
                "value_property": "$.node_seconds",
                "group_by": {"group": "$.group", "application": "$.application"},
                "unit": "Node-Seconds",
                "dimensions": {
                    "ServiceName": "Parallel Computing",
                    "ServiceCategory": "Compute",
                    "ServiceSubcategory": "Other (Compute)",
                    "RegionId": None,
                    "RegionName": None,
                },
            }
        ],
        "features": [{"key": "node-seconds", "name": "Node-Seconds", "meter": "node_seconds"}],
        "plans": [
            {
                "key": "nodes",
                "name": "Nodes",
                "rate_cards": [
                    {
                        "feature": "node-seconds",
                        "price": {"type": "tiered", "mode": "graduated", "tiers": tiers},
                    }
                ],
            }
        ],
        "customers": [{"key": f"user-{user}", "name": f"User {user}"} for user in users],
        "subscriptions": [
            {
                "customer": f"user-{user}",
                "plan": "nodes",
                "active_from": dt.datetime(1993, 10, 1, tzinfo=dt.UTC),
            }
            for user in users
        ],
    }

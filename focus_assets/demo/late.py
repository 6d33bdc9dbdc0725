"""Two events of the sample company that arrive after their days were delivered.

What belongs here: these events and their file. What does not: what becomes of them (``billing.corrections``).
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any, Final

from focus_assets.demo.events import LATE
from focus_assets.demo.usage import FIRST_DAY, LAST_DAY

_IN_CLOSED_PERIOD: Final = dt.date(2026, 9, 15)
"""In the morning: the period of customer 07 ends that day at 13:22:07, and closes three days later."""

_CLOSED_FROM: Final = dt.date(2026, 9, 18)
_OF_CLOSED_PERIOD: Final = 7
_DAYS_BACK: Final = dt.timedelta(days=8)


def late_events(last_day: dt.date, customers: int | None = None) -> list[dict[str, Any]]:
    """A million tokens of a period that is open on ``last_day``, and of one that has closed, if one has."""
    days = [max(last_day - _DAYS_BACK, FIRST_DAY)]
    subjects = ["cust-02/main" if customers is None or customers > 1 else "cust-01/team-a"]
    if last_day >= _CLOSED_FROM and (customers is None or customers >= _OF_CLOSED_PERIOD):
        days.append(_IN_CLOSED_PERIOD)
        subjects.append(f"cust-{_OF_CLOSED_PERIOD:02}/main")
    return [
        {
            "specversion": "1.0",
            "id": f"{subject}/late/{day:%Y%m%d}",
            "source": "sample/inference",
            "type": "model.usage",
            "subject": subject,
            "time": f"{day:%F}T10:15:00Z",
            "data": {"tokens": 1_000_000, "model": "sample-pro", "type": "input", "region": "eu-1"},
        }
        for day, subject in zip(days, subjects, strict=True)
    ]


def deliver_late_events(folder: Path, last_day: dt.date = LAST_DAY, customers: int | None = None) -> bool:
    """Put the late events into a folder of sample events, whole or not at all; False where they are there already."""
    file = folder / LATE / f"{last_day + dt.timedelta(days=1):%F}.ndjson"
    if file.exists():
        return False
    file.parent.mkdir(exist_ok=True)
    aside = folder.with_name(f".{file.name}.new")
    aside.write_text(
        "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in late_events(last_day, customers))
    )
    aside.replace(file)
    return True

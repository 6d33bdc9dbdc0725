"""The sample company on disk: its configuration and its events, whole or cut small for tests.

What belongs here: which part of the company a folder gets. What does not: the company itself
(``company.yaml``), its usage (``usage``, ``events``) and running the chain over it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from focus_assets.demo.events import SEED, EventsWritten, write_events
from focus_assets.demo.usage import FIRST_DAY, LAST_DAY
from focus_assets.errors import FocusAssetsError


class ConfigurationInUse(FocusAssetsError):
    """The folder for the sample company holds a configuration that is not the sample's."""


@dataclass(frozen=True)
class SampleCompany:
    """Where the sample company lies; its days are ``first_day`` to ``last_day``, both inclusive."""

    config: Path
    events: EventsWritten
    first_day: dt.date
    last_day: dt.date


def sample_company(
    root: Path, *, days: int | None = None, customers: int | None = None, seed: int = SEED
) -> SampleCompany:
    """Write ``focus.yaml`` and ``events/`` below ``root``; leave untouched what is there already.

    ``days`` and ``customers`` cut the company to its first so many (None: all); ``as_of`` is 06:00
    of the day after the last. Raises :class:`ConfigurationInUse` where ``root`` holds another
    ``focus.yaml``, and :class:`~focus_assets.demo.events.EventsFolderInUse` where its events folder holds
    other files.
    """
    last_day = LAST_DAY if days is None else FIRST_DAY + dt.timedelta(days=days - 1)
    text = company_yaml()
    if days is not None or customers is not None:
        text = _cut(text, last_day, customers)
    config = root / "focus.yaml"
    if config.exists() and config.read_bytes() != text.encode():
        raise ConfigurationInUse(
            f"{config} is not the sample company's configuration (or was edited, or is of another version). "
            "Move it away or choose another folder; to run a configuration of your own use "
            "`focus-assets demo --events DIR --config focus.yaml`. Nothing was written."
        )
    events = write_events(
        root / "events", seed=seed, first_day=FIRST_DAY, last_day=last_day, customers=customers
    )
    if not config.exists():
        aside = config.with_name(".focus.yaml.new")
        aside.write_text(text, encoding="utf-8")
        aside.replace(config)
    return SampleCompany(config, events, FIRST_DAY, last_day)


def company_yaml() -> str:
    """The sample company's whole configuration, with its comments."""
    return resources.files("focus_assets.demo").joinpath("company.yaml").read_text(encoding="utf-8")


def _cut(text: str, last_day: dt.date, customers: int | None) -> str:
    company: dict[str, Any] = yaml.safe_load(text)
    kept = sorted({customer["key"] for customer in company["customers"]})[:customers]
    company["as_of"] = dt.datetime.combine(last_day, dt.time(), dt.UTC) + dt.timedelta(days=1, hours=6)
    company["customers"] = [c for c in company["customers"] if c["key"] in kept]
    company["credits"] = [grant for grant in company["credits"] if grant["customer"] in kept]
    everybody = [d for d in company["destinations"] if d.get("customers", "all") == "all"]
    own = [d for d in company["destinations"] if d not in everybody and set(d["customers"]) <= set(kept)]
    company["destinations"] = [d for d in company["destinations"] if d in everybody or d in own]
    company["subscriptions"] = [s for s in company["subscriptions"] if s["customer"] in kept]
    cut: str = yaml.safe_dump(company, sort_keys=False)
    return cut

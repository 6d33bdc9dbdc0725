"""Two thousand events damaged at random: each is metered, or kept with a reason, and nothing breaks."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from focus_assets.cloudevents import CloudEventsSource
from focus_assets.cloudevents.lines import LINES_PER_FILE
from focus_assets_tests.cloudevents.opening import DAY, TOKENS, Settings, catalog, event

EVENTS = 2_000
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1.5,
    1e308,
    10**400,
    "",
    " ",
    "null",
    "2026-08-15",
    "2026-02-30T00:00:00Z",
    "2026-08-15T24:00:00Z",
    "2026-08-15T23:59:60Z",
    "2026-08-15T10:30:00+14:00",
    "\u0000",
    "\ud83d\ude00" * 9,
    "a" * 5_000,
    [],
    [1, {"tokens": 2}],
    {},
    {"tokens": {"tokens": 1}},
)
ATTRIBUTES = (
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "data",
    "extension",
    "data.tokens",
    "data.model",
)


def other_value(chance: random.Random, number: int) -> bytes:
    """An attribute, or a part of the data, is something else or missing."""
    whole = event(str(number), data={"tokens": number % 7, "model": "large"})
    name = chance.choice(ATTRIBUTES)
    place, key = (whole["data"], name[5:]) if name.startswith("data.") else (whole, name)
    if chance.random() < 0.2:
        place.pop(key, None)
    else:
        place[key] = chance.choice(VALUES)
    return json.dumps(whole, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def damaged_bytes(chance: random.Random, number: int) -> bytes:
    """Some bytes are lost, doubled, changed or moved."""
    text = bytearray(json.dumps(event(str(number))).encode())
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text))
        match chance.randrange(4):
            case 0:
                del text[at : at + chance.randrange(1, 9)]
            case 1:
                text[at:at] = bytes([chance.randrange(256)])
            case 2:
                text[at] = chance.choice(b'{}[]",:\\ \t\x00\xff0-')
            case _:
                text = text[at:] + text[:at]
    return bytes(text).replace(b"\n", b" ") or b" "


@pytest.mark.parametrize("damage", [other_value, damaged_bytes])
def test_every_damaged_event_is_either_metered_or_kept_with_a_reason(
    damage: Callable[[random.Random, int], bytes], connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    chance = random.Random(20260815)
    lines = [damage(chance, number) for number in range(EVENTS // 2)]
    (tmp_path / "2026-08-15.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    # Damage also moves events to other days: the verdicts are looked at, not the quarantine of one day.
    with CloudEventsSource(Settings(str(tmp_path)), connection).open([DAY], [TOKENS]) as opened:
        opened.raw_usage(DAY, catalog(TOKENS), []).collect()
        opened.quarantined(DAY).collect()
        table = opened.events.connection.execute(
            f"SELECT seq % {LINES_PER_FILE}, reason FROM {opened.events.table}"
        )
        verdicts = dict(table.fetchall())
    refused = {number: reason for number, reason in verdicts.items() if reason is not None}
    assert all(refused.values())
    assert set(verdicts) == {number for number, line in enumerate(lines, 1) if line.strip(b" \t\r")}
    assert len(verdicts) > 990
    assert 100 < len(refused) < 1_000
    for number, line in enumerate(lines, 1):
        verdict = judged(line)
        if verdict is not None:
            assert (number in refused) != verdict, (line, refused.get(number))


def judged(line: bytes) -> bool | None:
    """Whether a line is an event; None where JSON, or the value, leaves it open."""
    try:
        document = json.loads(line.decode())
    except UnicodeDecodeError:
        return False
    except (ValueError, RecursionError):
        # DuckDB's reader takes NaN, Infinity, and a comma before a closing bracket.
        tolerated = re.search(rb"(?i)nan|inf|,\s*[\]}]", line)
        return None if tolerated or not line.strip() else False
    if not isinstance(document, dict):
        return False
    needed = [document.get(name) for name in ("id", "source", "specversion", "type", "subject")]
    if not all(isinstance(text, str) and text for text in needed) or document["specversion"] != "1.0":
        return False
    data, time = document.get("data"), document.get("time")
    if not (data is None or isinstance(data, dict)) or not isinstance(time, str):
        return False
    if not re.fullmatch(r"2026-08-15T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", time):
        # Another day, another notation or no instant at all: other tests hold the notation of instants.
        return None
    return None if isinstance(data, dict) and isinstance(data.get("tokens"), float | int | str) else True

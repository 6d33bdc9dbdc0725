"""Pulling days of usage from an OpenMeter server, four requests at a time against one.

The server is a process of its own on loopback that gives answers made before the clock starts, 20 ms late: what is
measured is the client, not how fast a test server meters. A day is a question and a control question for each of 50
meters. What the server itself used is told beside each side, for on a machine of few cores it takes from the client.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
import multiprocessing
import socket
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.harness import Benchmark, Clocked

FIRST = dt.date(2026, 8, 1)
METERS = 50
ROWS = 2_000
LATENCY = 0.02
_ROOT = "/api/v3/openmeter/meters"


def prepare(folder: Path, days: int) -> int:
    """Start the server; it ends with this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port, days), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}{_ROOT}").close()
            break
        except urllib.error.URLError:
            time.sleep(0.1)
    (folder / "server.json").write_text(json.dumps({"url": url, "days": days}))
    return days * METERS * ROWS


def serve(port: int, days: int) -> None:
    """The server: its meters, and for each question of a day the same rows under that day's windows.

    Every answer is ready before the first request; ``/cpu`` tells the seconds the server has used so far.
    """
    import uvicorn

    meters = json.dumps(
        {
            "data": [_meter(n) for n in range(METERS)],
            "meta": {"page": {"number": 1, "size": 100, "total": METERS}},
        }
    ).encode()
    starts = [f"{FIRST + dt.timedelta(days=n):%F}T00:00:00Z" for n in range(days)]
    bodies = {key: _answer(*key) for key in product(starts, (True, False))}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked = b""
        while True:
            message = await receive()
            asked += message.get("body", b"")
            if not message.get("more_body"):
                break
        path, status, body = scope["path"], 200, meters
        if path.endswith("/query"):
            question = json.loads(asked)
            body = bodies[question["from"], "granularity" in question]
            await asyncio.sleep(LATENCY)
        elif path == "/cpu":
            body = json.dumps(time.process_time()).encode()
        elif path != _ROOT:
            status, body = 404, b"{}"
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical", lifespan="off")


def _meter(number: int) -> dict[str, Any]:
    return {
        "id": f"01J{number:023}",
        "key": f"meter_{number}",
        "name": f"Meter {number}",
        "aggregation": "sum",
        "event_type": "prompt",
        "value_property": "$.tokens",
        "dimensions": {"model": "$.model", "region": "$.region"},
    }


def _answer(start: str, in_windows: bool) -> bytes:
    begin = dt.datetime.fromisoformat(start)
    end = begin + dt.timedelta(days=1)
    values = [(n * 37 % 1_000, n) for n in range(ROWS)]
    if not in_windows:
        total = sum(value for value, _ in values)
        rows = [{"value": str(total), "from": start, "to": f"{end:%FT%TZ}", "dimensions": {}}]
    else:
        rows = [
            {
                "value": str(value),
                "from": f"{begin + dt.timedelta(hours=n % 24):%FT%TZ}",
                "to": f"{begin + dt.timedelta(hours=n % 24 + 1):%FT%TZ}",
                "dimensions": {"subject": f"customer-{n // 24}", "model": f"model-{n % 5}", "region": "eu"},
            }
            for value, n in values
        ]
    return json.dumps({"from": start, "to": f"{end:%FT%TZ}", "data": rows}).encode()


def pulled(given: Path, own: Path, *, concurrency: int) -> Clocked:
    """Every day's ``raw_usage``, checked, sorted and hashed.

    Clocked from before the first connection to after the last day's hash.
    """
    from focus_assets.catalog.snapshot import Catalog
    from focus_assets.openmeter import OpenMeterSource
    from focus_assets.settings import OpenMeterSettings

    known = json.loads((given / "server.json").read_text())
    meters = [
        {
            "slug": meter["key"],
            "event_type": meter["event_type"],
            "aggregation": "SUM",
            "value_property": "$.tokens",
            "group_by": meter["dimensions"],
        }
        for meter in map(_meter, range(METERS))
    ]
    catalog = Catalog.model_validate({"defaults": {"provider_name": "Test"}, "meters": meters})
    settings = OpenMeterSettings(url=known["url"], concurrency=concurrency)
    total = hashlib.sha256()
    before = _server_cpu(known["url"])
    wall, cpu = time.perf_counter(), time.process_time()
    with OpenMeterSource(settings).open(first_day=FIRST - dt.timedelta(days=1)) as opened:
        for n in range(known["days"]):
            frame = opened.raw_usage(FIRST + dt.timedelta(days=n), catalog, []).collect()
            total.update(frame.hash_rows().to_frame().write_ipc(None).getvalue())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    used = _server_cpu(known["url"]) - before
    print(f"pull: {concurrency} at a time: the server used {used:.1f} CPU-s", file=sys.stderr, flush=True)
    return Clocked(total.hexdigest(), wall, cpu)


def _server_cpu(url: str) -> float:
    with urllib.request.urlopen(f"{url}/cpu") as told:
        return float(json.load(told))


one_at_a_time = partial(pulled, concurrency=1)
four_at_a_time = partial(pulled, concurrency=4)

BENCHMARK = Benchmark(
    name="pull",
    question=(
        f"What do requests side by side bring? Days of {METERS} meters with {ROWS:,} rows each from a server that "
        f"answers {LATENCY * 1000:.0f} ms late, each proven against its control total."
    ),
    unit="days",
    size=20,
    prepare=prepare,
    sides={"one request at a time": one_at_a_time, "four at a time": four_at_a_time},
    packages=("httpx", "msgspec", "polars"),
)

"""Measuring two sides of a claim fairly on a machine that others use too.

What belongs here: rounds, processes, figures and how they are told. What does not: what is measured (one module
per benchmark). Each side of each round is a process of its own, so that its peak memory and its imports are its
own; the sides take turns, and who begins changes from round to round. CPU seconds (user and system) are what to
read on a shared machine; wall seconds are given beside them with the load they were taken under.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

Side = Callable[[Path, Path], Any]
"""Takes the prepared folder and an empty one to write to; returns its answer, which must equal the other's.

A side that also returns what it is about without what surrounds it returns a :class:`Clocked` answer."""


@dataclass(frozen=True)
class Benchmark:
    """A claim to measure.

    ``prepare`` writes what both sides read, for a size, and returns how many rows that is. The first of ``sides``
    is what the others are compared with. ``sizes`` are allowed sizes by their meaning; the first is the default.
    """

    name: str
    question: str
    unit: str
    size: int
    prepare: Callable[[Path, int], int]
    sides: Mapping[str, Side]
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clocked:
    """A side's answer, and the seconds that its work took without the start of its process and its imports."""

    answer: Any
    wall: float
    cpu: float


@dataclass(frozen=True)
class Measured:
    """One side in one round; ``alone`` is the work without what surrounds it, where the side has clocked that."""

    wall: float
    cpu: float
    peak_bytes: int
    answer: Any
    alone: Clocked | None = None


def run(benchmark: Benchmark, size: int, rounds: int, tell: Callable[[str], None]) -> str:
    """Measure ``rounds`` rounds and return a Markdown section.

    Raises:
        RuntimeError: a side failed, or the sides' answers differ.
    """
    with tempfile.TemporaryDirectory(prefix=f"benchmark-{benchmark.name}-") as name:
        folder = Path(name)
        given = folder / "given"
        given.mkdir()
        tell(f"{benchmark.name}: preparing {size:,} {benchmark.unit}")
        rows = benchmark.prepare(given, size)
        found: dict[str, list[Measured]] = {label: [] for label in benchmark.sides}
        before = os.getloadavg()
        for number in range(rounds):
            for label in _turns(list(benchmark.sides), number):
                with tempfile.TemporaryDirectory(dir=folder) as own:
                    one = _measured(benchmark.sides[label], given, Path(own))
                tell(
                    f"{benchmark.name}: round {number + 1} of {rounds}, {label}: {one.cpu:.1f} CPU-s, {one.wall:.1f} s"
                )
                found[label].append(one)
        after = os.getloadavg()
    answers = [one.answer for side in found.values() for one in side]
    if any(answer != answers[0] for answer in answers):
        raise RuntimeError(f"{benchmark.name}: the sides came to different results: {answers}")
    return _section(benchmark, size, rows, found, before, after)


def _turns(labels: list[str], number: int) -> list[str]:
    return labels if number % 2 == 0 else labels[::-1]


def _measured(side: Side, given: Path, own: Path) -> Measured:
    """A side in a fresh process, from its start to its end, imports included."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_inside, args=(side, given, own, sender))
    began = time.perf_counter()
    process.start()
    sender.close()
    try:
        cpu, peak, answer = receiver.recv()
    except EOFError:
        raise RuntimeError(f"{side} failed; its error is above") from None
    process.join()
    wall = time.perf_counter() - began
    if isinstance(answer, Clocked):
        return Measured(wall, cpu, peak, answer.answer, answer)
    return Measured(wall, cpu, peak, answer)


def _inside(side: Side, given: Path, own: Path, answer: Any) -> None:
    found = side(given, own)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    answer.send((cpu, max(one.ru_maxrss for one in used) * unit, found))


def _section(
    benchmark: Benchmark,
    size: int,
    rows: int,
    found: Mapping[str, Sequence[Measured]],
    before: tuple[float, float, float],
    after: tuple[float, float, float],
) -> str:
    lines = [
        f"## {benchmark.name}",
        "",
        benchmark.question,
        "",
        f"{size:,} {benchmark.unit}, {rows:,} rows. Median of {len(next(iter(found.values())))} rounds "
        "(lowest to highest in brackets).",
        "",
        "| side | CPU seconds | wall seconds | rows per CPU second | rows per second | peak memory |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for label, side in found.items():
        cpu, wall = [one.cpu for one in side], [one.wall for one in side]
        peak = max(one.peak_bytes for one in side)
        lines.append(
            f"| {label} | {_spread(cpu)} | {_spread(wall)} | {rows / statistics.median(cpu):,.0f} "
            f"| {rows / statistics.median(wall):,.0f} | {peak / 2**20:,.0f} MiB |"
        )
    lines += ["", *_compared(found)]
    alone = {label: [one.alone for one in side if one.alone is not None] for label, side in found.items()}
    if all(alone.values()):
        lines += [
            "",
            "Without the start of the process and its imports, which the figures above hold:",
            "",
            "| side | CPU seconds | wall seconds |",
            "|---|---:|---:|",
        ]
        for label, clocked in alone.items():
            cpu, wall = [one.cpu for one in clocked], [one.wall for one in clocked]
            lines.append(f"| {label} | {_spread(cpu)} | {_spread(wall)} |")
        lines += ["", *_compared(alone)]
    lines += ["", _circumstances(benchmark, before, after)]
    return "\n".join(lines) + "\n"


def _compared(found: Mapping[str, Sequence[Measured]] | Mapping[str, Sequence[Clocked]]) -> list[str]:
    """Each other side beside the first, round by round."""
    first, *others = found
    lines = []
    for label in others:
        cpu = [b.cpu / a.cpu for a, b in zip(found[first], found[label], strict=True)]
        wall = [b.wall / a.wall for a, b in zip(found[first], found[label], strict=True)]
        lines.append(
            f"**{label} / {first}: {_spread(cpu, 2)} in CPU seconds**, {_spread(wall, 2)} in wall seconds."
        )
    return lines


def _spread(values: Sequence[float], digits: int = 1) -> str:
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def _circumstances(
    benchmark: Benchmark, before: tuple[float, float, float], after: tuple[float, float, float]
) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in benchmark.packages)
    return (
        f"{os.cpu_count()} cores ({_processor()}), load average {before[0]:.1f} before and {after[0]:.1f} after; "
        f"Python {platform.python_version()}, {packages}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def numbered(items: Sequence[str]) -> Iterator[str]:
    """Items as a list for people."""
    return (f"  {item}" for item in items)

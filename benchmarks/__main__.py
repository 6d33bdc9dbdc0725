"""``python -m benchmarks [NAME...]``: run benchmarks and print a Markdown section for each."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import chain, delivery, look_back, metering, pull, rating
from benchmarks.harness import run

BENCHMARKS = {
    each.name: each
    for each in (
        chain.BENCHMARK,
        metering.BENCHMARK,
        metering.MEMORY_BENCHMARK,
        look_back.BENCHMARK,
        pull.BENCHMARK,
        rating.BENCHMARK,
        rating.EVERY_PRICE_BENCHMARK,
        delivery.BENCHMARK,
    )
}


def main() -> None:
    """Parse the command line, measure, print."""
    listed = "\n".join(f"  {each.name:10} {each.question}" for each in BENCHMARKS.values())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Measures claims side by side; takes minutes.\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all where none is named")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--size", type=int, help="how much to measure, in the benchmark's own unit")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs (default: 3)")
    parser.add_argument("--to", type=Path, help="also append the sections to this file")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are:\n{listed}")
    if given.list:
        print(listed)
        return
    for name in given.names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        section = run(
            benchmark,
            given.size or benchmark.size,
            given.rounds,
            lambda line: print(line, file=sys.stderr, flush=True),
        )
        print(section, flush=True)
        if given.to is not None:
            with given.to.open("a", encoding="utf-8") as file:
                file.write("\n" + section)


if __name__ == "__main__":
    main()

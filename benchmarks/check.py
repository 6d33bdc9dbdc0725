"""``focus-assets check`` beside the official validator: ``python -m benchmarks.check [rows ...] [--official ENV]``.

Both sides read the same Parquet files of FOCUS 1.2 (57 columns, see ``focus_rows``), each in a process of its own.
ENV is an environment that holds focus-validator 2.2.1 (``pip install 'focus-validator==2.2.1' 'pyarrow<26'`` with
Python 3.12); without it only our side is measured. Reported are wall time, CPU seconds (user and system; on a shared
machine the figure that counts) and peak memory.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.focus_rows import write_rows

_OFFICIAL = """
import sys
from focus_validator.validator import Validator
Validator(data_filename=sys.argv[1], output_destination=sys.argv[2], output_type='unittest',
          focus_dataset='CostAndUsage', rules_version='1.2.0.1', rules_block_remote_download=True,
          applicability_criteria='ALL').validate()
"""


def measure(command: Sequence[str | Path], cwd: Path | None = None) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak memory in MB of one process; its output is dropped."""
    started = time.monotonic()
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


def main() -> None:
    """Write the files, run both sides, print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--official", type=Path, help="environment with focus-validator 2.2.1")
    parser.add_argument("--official-up-to", type=int, default=1_000_000, help="most rows the validator gets")
    options = parser.parse_args()
    print("| rows | side | wall s | CPU s | peak MB |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            path = Path(folder) / f"{rows}.parquet"
            write_rows(path, rows)
            ours = [sys.executable, "-c", "from focus_assets.cli import main; main()", "check", path]
            _tell(rows, "focus-assets check", measure(ours))
            if options.official and rows <= options.official_up_to:
                [packages] = options.official.absolute().glob("lib/python3.*/site-packages")
                python = options.official.absolute() / "bin" / "python"
                official = [python, "-c", _OFFICIAL, path, Path(folder) / "out.xml"]
                _tell(rows, "focus-validator 2.2.1", measure(official, packages))
            path.unlink()


def _tell(rows: int, side: str, figures: tuple[float, float, int]) -> None:
    wall, cpu, memory = figures
    print(f"| {rows:,} | {side} | {wall:.1f} | {cpu:.1f} | {memory:,} |", flush=True)


if __name__ == "__main__":
    main()

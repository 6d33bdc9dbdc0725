"""Going on in a process of its own, so that whatever a file does to the program that reads it is told in a sentence.

What belongs here: the second process, and how its end is told. What does not: exceptions, which ``check`` tells.

A Parquet file with a few wrong bytes can end the whole process: Polars then asks for more memory than there is, and
Rust ends a program that does not get it. A process that only waits for another costs a few milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from io import TextIOWrapper
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from focus_assets.errors import FocusAssetsError

_PASSED_ON: Final = ("SIGTERM", "SIGHUP")
_SHOWN: Final = 1_000


def go_on_apart() -> None:
    """Return in a new process; this one ends as that one does. For what begins a program, and nothing else.

    What libraries print by themselves on standard error is kept from it, and told if the new process is ended by a
    signal. Where there is no ``fork``, or this process has threads or Polars (which hangs after it), this one goes on.

    Raises:
        FocusAssetsError: the new process was ended by a signal that nobody sent to this one.
    """
    if not hasattr(os, "fork") or threading.active_count() > 1 or "polars" in sys.modules:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    # Held back until there is a child to pass them on to: one that ended this process alone would leave it behind.
    passed_on = {signal.Signals[name] for name in _PASSED_ON}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    with TemporaryFile() as said:
        child = os.fork()
        if not child:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            _divert(said)
            return
        _pass_on(passed_on, child)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status >= 0:
            sys.exit(status)
        ending = signal.Signals(-status)
        if ending.name in _PASSED_ON:
            signal.signal(ending, signal.SIG_DFL)
            os.kill(os.getpid(), ending)
        said.seek(0)
        first = said.read(_SHOWN).decode(errors="replace").strip().partition("\n")[0]
    raise FocusAssetsError(
        f"{' '.join(sys.argv[1:])}: what reads the files was ended by {ending.name}{f' ({first})' if first else ''}. "
        "A file is damaged, or there is not enough memory for it. Nothing was checked."
    )


def _divert(said: BinaryIO) -> None:
    """Python's standard error goes where it went; what libraries write to descriptor 2 goes into ``said``."""
    kept = os.fdopen(os.dup(2), "wb", buffering=0)
    sys.stderr = TextIOWrapper(kept, sys.stderr.encoding, "backslashreplace", write_through=True)
    os.dup2(said.fileno(), 2)


def _pass_on(signals: Iterable[signal.Signals], child: int) -> None:
    """Have the child get what this process is sent from here on."""
    # Ctrl-C reaches both; the child says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for each in signals:
        signal.signal(each, lambda number, _: os.kill(child, number))

"""What was found right, remembered for as long as the process lives.

What belongs here: the memory. What does not: what a proof is of; its key has to name every byte that was looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable


class Remembered:
    """Keys of what was found right; beyond ``most`` of them the oldest is forgotten and asked again."""

    def __init__(self, most: int = 50_000) -> None:
        self._keys: dict[Hashable, None] = {}
        self._most = most
        self._guard = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._keys

    def add(self, key: Hashable) -> None:
        """Remember that ``key`` was found right."""
        with self._guard:
            self._keys[key] = None
            while len(self._keys) > self._most:
                del self._keys[next(iter(self._keys))]

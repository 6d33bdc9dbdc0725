"""Lists that come in pages: read to the end, and proven to be whole.

What belongs here: the three ways OpenMeter pages and what may go wrong with each. What does not: what is listed.

A list that changes while it is read shifts its pages, so an inconsistent reading is begun anew a few times
before it is an error. A short list is never handed on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from focus_assets.openmeter import wire_v1, wire_v3
from focus_assets.openmeter.errors import InconsistentPages, MalformedResponse
from focus_assets.openmeter.transport import Parameters, Transport
from focus_assets.openmeter.wire import Wire, read

V3_PAGE: Final = 100
V1_PAGE: Final = 1_000
_READINGS: Final = 3

M = TypeVar("M", bound=Wire)


async def numbered_v3(transport: Transport, path: str, parameters: Parameters = ()) -> list[Any]:
    """Every entry of a v3 list with ``meta.page``."""

    async def page(number: int) -> tuple[list[Any], int, int]:
        asked = [*parameters, ("page[size]", str(V3_PAGE)), ("page[number]", str(number))]
        found = read(wire_v3.NumberedPage, await transport.get(path, asked), f"GET {path}")
        return found.data, found.meta.page.number, found.meta.page.total

    return await _whole(path, page)


async def numbered_v1(
    transport: Transport, path: str, parameters: Parameters = (), *, size: int = V1_PAGE
) -> list[Any]:
    """Every entry of a v1 list with ``totalCount``, ``size`` at a time."""

    async def page(number: int) -> tuple[list[Any], int, int]:
        asked = [*parameters, ("page", str(number)), ("pageSize", str(size))]
        found = read(wire_v1.Page, await transport.get(path, asked), f"GET {path}")
        return found.items, found.page, found.total_count

    return await _whole(path, page)


async def bare_v1(transport: Transport, path: str, parameters: Parameters = ()) -> list[Any]:
    """Every entry of a v1 list that is a bare array: read until a page is not full.

    Nothing in a bare array says how long the whole is, so two readings have to be the same: a page that went
    missing once is noticed.
    """
    for _ in range(_READINGS):
        first = await _bare(transport, path, parameters)
        if first is not None and first == await _bare(transport, path, parameters):
            return first
    raise InconsistentPages(f"GET {path}: {_READINGS} readings of the list differ. Nothing was written.")


async def _bare(transport: Transport, path: str, parameters: Parameters) -> list[Any] | None:
    found: list[Any] = []
    number = 1
    while True:
        page = await transport.get(path, [*parameters, ("page", str(number)), ("pageSize", str(V1_PAGE))])
        if not isinstance(page, list):
            raise MalformedResponse(f"GET {path}: the answer is no list. Nothing was written.")
        found += page
        if len(page) < V1_PAGE:
            return found if _unique(path, found) else None
        number += 1


async def _whole(path: str, page: Callable[[int], Awaitable[tuple[list[Any], int, int]]]) -> list[Any]:
    why = ""
    for _ in range(_READINGS):
        found: list[Any] = []
        total: int | None = None
        number = 1
        why = ""
        while not why and (total is None or len(found) < total):
            entries, said, of = await page(number)
            if said != number:
                why = f"page {number} says it is page {said}"
            elif total is not None and of != total:
                why = f"the total changed from {total} to {of}"
            elif not entries and len(found) < of:
                why = f"page {number} is empty, although {of} entries were announced and {len(found)} came"
            found += entries
            total = of
            number += 1
        if not why and len(found) != total:
            why = f"{len(found)} entries came, {total} were announced"
        if not why and not _unique(path, found):
            why = "an entry stands twice"
        if not why:
            return found
    raise InconsistentPages(f"GET {path}: {why}, {_READINGS} times over. Nothing was written.")


def _unique(path: str, entries: list[Any]) -> bool:
    ids = [entry.get("id") if isinstance(entry, dict) else None for entry in entries]
    if not all(isinstance(each, str) for each in ids):
        raise MalformedResponse(f"GET {path}: an entry has no id. Nothing was written.")
    return len(set(ids)) == len(ids)


async def by_cursor_v3(transport: Transport, path: str, parameters: Parameters = ()) -> AsyncIterator[Any]:
    """Entries of a v3 list read by cursor, page by page. Raises InconsistentPages where a page comes again."""
    after: str | None = None
    before: list[Any] | None = None
    seen: set[str] = set()
    while True:
        asked = [*parameters, ("page[size]", str(V3_PAGE))] + ([("page[after]", after)] if after else [])
        page = read(wire_v3.CursorPage, await transport.get(path, asked), f"GET {path}")
        following = page.meta.page.next or None
        if page.data and page.data == before:
            raise InconsistentPages(f"GET {path}: a page came twice under two cursors")
        if following is not None and following in seen:
            raise InconsistentPages(f"GET {path}: cursor {following!r} came twice, so the list has no end")
        for entry in page.data:
            yield entry
        if following is None:
            return
        seen.add(following)
        after, before = following, page.data

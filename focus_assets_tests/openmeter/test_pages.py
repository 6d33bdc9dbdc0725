"""Lists that a server gives in pages: whole, or an error that names the list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx
import pytest

from focus_assets.openmeter.errors import InconsistentPages, MalformedResponse
from focus_assets.openmeter.pages import bare_v1, by_cursor_v3, numbered_v1, numbered_v3
from focus_assets.openmeter.transport import Transport
from focus_assets_tests.openmeter_server.running import no_pause

T = TypeVar("T")
Entries = list[dict[str, str]]


def entries(*numbers: int) -> Entries:
    return [{"id": str(number)} for number in numbers]


def read(answers: Sequence[Any], what: Callable[[Transport], Awaitable[T]]) -> T:
    """What is read where a server gives one answer after the other, and then the last one for ever."""
    given = iter(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=next(given, answers[-1]))

    async def reading() -> T:
        url, transport = "http://openmeter.test", httpx.MockTransport(answer)
        async with Transport(url, environment={}, transport=transport, sleep=no_pause) as opened:
            return await what(opened)

    return asyncio.run(reading())


def of_v3(answers: Sequence[Any]) -> list[Any]:
    return read(answers, lambda transport: numbered_v3(transport, "/list"))


def of_v1(answers: Sequence[Any]) -> list[Any]:
    return read(answers, lambda transport: numbered_v1(transport, "/list"))


def bare(answers: Sequence[Any]) -> list[Any]:
    return read(answers, lambda transport: bare_v1(transport, "/list"))


def by_cursor(answers: Sequence[Any]) -> list[Any]:
    async def whole(transport: Transport) -> list[Any]:
        return [entry async for entry in by_cursor_v3(transport, "/list")]

    return read(answers, whole)


def page_v3(number: int, total: int, data: Entries) -> Any:
    return {"data": data, "meta": {"page": {"number": number, "size": 100, "total": total}}}


def page_v1(number: int, total: int, items: Entries) -> Any:
    return {"items": items, "page": number, "pageSize": 1000, "totalCount": total}


def cursor_page(data: Entries, following: str | None) -> Any:
    return {"data": data, "meta": {"page": {"size": 100, "next": following}}}


@pytest.mark.parametrize(("read_list", "page"), [(of_v3, page_v3), (of_v1, page_v1)])
def test_pages_that_add_up_to_the_total_are_the_list(read_list: Any, page: Any) -> None:
    assert read_list([page(1, 3, entries(1, 2)), page(2, 3, entries(3))]) == entries(1, 2, 3)
    assert read_list([page(1, 0, [])]) == []


@pytest.mark.parametrize(("read_list", "page"), [(of_v3, page_v3), (of_v1, page_v1)])
@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        ([(1, 3, (1, 2)), (2, 3, (2,))], "an entry stands twice"),
        ([(1, 3, (1, 2)), (1, 3, (1, 2))], "page 2 says it is page 1"),
        ([(1, 3, (1, 2)), (2, 4, (3,))], "the total changed from 3 to 4"),
        ([(1, 3, (1, 2)), (2, 3, ())], "page 2 is empty, although 3 entries were announced and 2 came"),
        ([(1, 3, (1, 2)), (2, 3, (3, 4))], "4 entries came, 3 were announced"),
        ([(1, -1, ())], "0 entries came, -1 were announced"),
    ],
)
def test_pages_that_contradict_each_other_are_read_again_and_then_refused(
    read_list: Any, page: Any, spoiled: list[tuple[int, int, tuple[int, ...]]], why: str
) -> None:
    bad = [page(number, total, entries(*ids)) for number, total, ids in spoiled]
    with pytest.raises(InconsistentPages, match=f"GET /list: {why}, 3 times over"):
        read_list(bad * 3)
    assert read_list([*bad, page(1, 1, entries(7))]) == entries(7)


def test_a_list_that_does_not_say_its_length_has_to_be_the_same_twice() -> None:
    assert bare([entries(1, 2)]) == entries(1, 2)
    assert bare([entries(1), entries(1, 2)]) == entries(1, 2), "an entry was missing once"
    with pytest.raises(InconsistentPages, match="GET /list: 3 readings of the list differ"):
        bare([entries(n) for n in range(6)])


def test_entries_without_an_id_are_refused() -> None:
    with pytest.raises(MalformedResponse, match="an entry has no id"):
        bare([[{"key": "x"}]])


def test_a_list_by_cursor_ends_where_none_follows() -> None:
    pages = [cursor_page(entries(1), "a"), cursor_page(entries(2), "b"), cursor_page([], "")]
    assert by_cursor(pages) == entries(1, 2)


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([(1, "a"), (1, "b"), (2, None)], "a page came twice under two cursors"),
        ([(1, "a"), (2, "b"), (3, "a")], "cursor 'a' came twice, so the list has no end"),
    ],
)
def test_a_list_by_cursor_that_goes_round_is_refused(pages: list[tuple[int, str | None]], why: str) -> None:
    with pytest.raises(InconsistentPages, match=f"GET /list: {why}"):
        by_cursor([cursor_page(entries(number), following) for number, following in pages])

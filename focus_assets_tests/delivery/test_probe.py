"""Trying a destination out: every step is told, nothing stays, and a store that cannot hold a manifest is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from focus_assets.delivery.probe import PROBE, Step, probe
from focus_assets.lake import ObjectStore, StoreError, open_store
from focus_assets_tests.s3_server import S3Bucket

STEPS = ["write", "read", "list", "create if absent", "replace if unchanged", "remove"]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(str(tmp_path / "bucket"))
    bucket: S3Bucket = request.getfixturevalue("s3_bucket")
    return open_store(f"{bucket.url}/focus", bucket.options)


class Other:
    """A store that does one thing differently."""

    def __init__(self, store: ObjectStore, **changed: Any) -> None:
        self._store, self._changed = store, changed

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name) or getattr(self._store, name)


def steps(store: Any, *looks: Step) -> list[tuple[str, bool]]:
    return [(step.what, step.fine) for step in probe(store, lambda: iter(looks))]


def test_a_store_that_does_all_is_fine_and_left_as_it_was(store: ObjectStore) -> None:
    store.put("theirs.txt", b"theirs")
    assert steps(store, Step("region", "here", fine=True)) == [
        *((what, True) for what in STEPS[:-1]),
        ("region", True),
        ("remove", True),
    ]
    assert [info.path for info in store.list()] == ["theirs.txt"]


def test_what_an_earlier_probe_left_is_no_obstacle(store: ObjectStore) -> None:
    store.put(PROBE, b"left by a kill")
    assert all(fine for _, fine in steps(store))


@pytest.mark.parametrize(
    ("ignored", "step"), [("if_absent", "create if absent"), ("if_match", "replace if unchanged")]
)
def test_a_store_that_ignores_a_condition_is_found_and_cleaned_up(
    store: ObjectStore, ignored: str, step: str
) -> None:
    def put(path: str, data: bytes, **conditions: Any) -> str:
        return store.put(path, data, **{name: value for name, value in conditions.items() if name != ignored})

    found = steps(Other(store, put=put))
    assert found[-2:] == [(step, False), ("remove", True)]
    assert list(store.list()) == []


def test_a_store_that_refuses_says_so_and_nothing_more_is_tried(store: ObjectStore) -> None:
    def put(*_: Any, **__: Any) -> str:
        raise StoreError("403 AccessDenied: allow s3:PutObject")

    found = list(probe(Other(store, put=put)))  # type: ignore[arg-type]
    assert [(step.what, step.fine) for step in found] == [("write", False), ("remove", True)]
    assert "allow s3:PutObject" in found[0].said


def test_a_store_that_gives_back_other_bytes_is_found(store: ObjectStore) -> None:
    assert ("read", False) in steps(Other(store, get=lambda _: b"cached"))

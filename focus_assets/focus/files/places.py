"""From what a person names (files, folders, addresses in object stores) to files of this machine.

What belongs here: finding and fetching. What does not: what is in the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from focus_assets.focus.files.errors import UnusableInput
from focus_assets.focus.files.manifests import is_manifest, of_the_dataset
from focus_assets.lake import ObjectStore, StoreError, open_store

ENDINGS: Final = (".parquet", ".csv", ".csv.gz")
"""File names that are read, in any case; a folder's other files are passed over."""

_ALLOWED: Final = "a CSV, gzip CSV or Parquet file, a folder of them, or an s3://, gs:// or az:// address"


@dataclass(frozen=True)
class FoundFile:
    """A file of this machine, and what to call it."""

    path: Path
    name: str

    @property
    def parquet(self) -> bool:
        """Whether it is Parquet by its first bytes: names lie more often."""
        with self.path.open("rb") as file:
            return file.read(4) == b"PAR1"


def find_files(named: Sequence[str], fetched: Path, dataset: str) -> list[FoundFile]:
    """The files behind what a person named, in the order named, a folder's by path.

    A folder's files are left out that the manifest of a delivery beside them has retired, or has of another dataset.

    Args:
        named: paths or addresses.
        fetched: a folder for what is downloaded.
        dataset: the dataset that is wanted.

    Raises:
        UnusableInput: nothing there, or nothing of a kind that is read.
    """
    return [file for place in named for file in _at(place, fetched, dataset)]


def _at(place: str, fetched: Path, dataset: str) -> Iterator[FoundFile]:
    if "://" in place and not place.startswith("file:"):
        yield from _remote(place, fetched, dataset)
        return
    path = Path(place.removeprefix("file://")).expanduser()
    try:
        if path.is_dir():
            yield from _folder(path, dataset)
        elif path.is_file():
            with path.open("rb"):
                yield FoundFile(path, place)
        else:
            raise UnusableInput(f"{place}: there is no such file or folder. Give {_ALLOWED}.")
    except OSError as error:
        raise UnusableInput(f"{place} could not be read: {error.strerror or error}.") from error


def _folder(folder: Path, dataset: str) -> Iterator[FoundFile]:
    inside = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    manifests = (path.read_bytes() for path in inside if is_manifest(path.name))
    data = [str(path) for path in inside if _is_data(path.relative_to(folder).as_posix())]
    found = of_the_dataset(data, manifests, dataset)
    if not found:
        raise UnusableInput(
            f"{folder}: the folder holds no file ending in {', '.join(ENDINGS)}. Nothing was checked."
        )
    yield from (FoundFile(Path(path), path) for path in found)


def _is_data(path: str) -> bool:
    """Whether a folder's file is data: hidden files, and those that engines put beside data, are not."""
    parts = PurePosixPath(path).parts
    return path.lower().endswith(ENDINGS) and not any(part.startswith((".", "_")) for part in parts)


def _remote(url: str, fetched: Path, dataset: str) -> Iterator[FoundFile]:
    try:
        parent, _, name = url.rstrip("/").rpartition("/")
        single = None if parent.endswith("/") else open_store(parent)
        if single is not None and single.head(name) is not None:
            yield _download(single, name, fetched)
            return
        store = open_store(url)
        listed = [info.path for info in store.list()]
        manifests = (store.get(path) for path in listed if is_manifest(path))
        paths = of_the_dataset([path for path in listed if _is_data(path)], manifests, dataset)
        if not paths:
            raise UnusableInput(
                f"{url}: there is no such object, and nothing below it ends in {', '.join(ENDINGS)}."
            )
        for path in paths:
            yield _download(store, path, fetched)
    except StoreError as error:
        raise UnusableInput(f"{url} could not be read: {error}") from error


def _download(store: ObjectStore, path: str, fetched: Path) -> FoundFile:
    local = fetched / f"{len(list(fetched.iterdir()))}-{PurePosixPath(path).name}"
    store.download(path, local)
    return FoundFile(local, f"{store.url}/{path}")

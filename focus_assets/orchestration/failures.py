"""Errors a person can mend become Dagster failures that say so, without a stack trace to read through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from focus_assets.errors import FocusAssetsError
from focus_assets.lake import StoreError
from focus_assets.openmeter.errors import ServerUnreachable


@contextmanager
def explained() -> Iterator[None]:
    """Turn a :class:`FocusAssetsError` into a failure with the same sentence.

    Only an object store or a server that did not answer is worth a retry: nothing else mends itself.
    """
    try:
        yield
    except FocusAssetsError as error:
        retry = isinstance(error, StoreError | ServerUnreachable)
        raise dg.Failure(description=str(error), allow_retries=retry) from error

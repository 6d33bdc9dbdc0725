"""The manifest: a delivery's table of contents, written last, and everything a reader needs to check it.

What belongs here: its model, its canonical bytes and its JSON Schema. What does not: where it lies
(``layout``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from functools import cache
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from focus_assets.catalog.key_values import KeyValues
from focus_assets.errors import FocusAssetsError

FORMAT_VERSION: Final = "1"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DecimalText = Annotated[str, Field(pattern=r"^-?\d+(\.\d*[1-9])?$")]
_NOT_CONTENT: Final = {
    "content_digest",
    "generated_at",
    "generator",
    "retired",
    "signature",
    "source_digest",
    "supersedes",
    "terms_digest",
}


class InvalidManifest(FocusAssetsError):
    """Bytes that are no manifest of a format this version reads."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class Scope(_Part):
    """Whose rows are delivered: those of all customers, or of these; ``labels`` where they were chosen by them."""

    customers: Literal["all"] | tuple[str, ...]
    labels: dict[str, str] = {}


class DayCompleteness(_Part):
    """That a day's rows are all there; a day without usage is complete with 0 rows.

    ``last_updated`` is when this destination first got the rows the day now has.
    """

    day: dt.date
    complete: Literal[True] = True
    rows: Annotated[int, Field(ge=0)]
    last_updated: AwareDatetime


class PeriodStatus(_Part):
    """A billing period of one account: closed once all its invoices are issued.

    ``status`` is FOCUS's BillingPeriodStatus; ``end`` is exclusive.
    """

    billing_account_id: str
    start: AwareDatetime
    end: AwareDatetime
    status: Literal["Open", "Closed"]


class RetiredFile(_Part):
    """A file that this manifest does not refer to any more; it is removed some time after ``since``."""

    path: str
    since: AwareDatetime


class DataFile(_Part):
    """A data file; its path is relative to the destination's URL."""

    path: str
    charge_date: dt.date
    bytes: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]
    sha256: Sha256


class ReferredFile(_Part):
    """A file of FOCUS metadata; its path is relative to the destination's URL."""

    path: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256


class SchemaReference(ReferredFile):
    """The FOCUS Schema object; ``created_at`` is its CreationDate at this destination."""

    schema_id: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    created_at: AwareDatetime


class ControlTotals(_Part):
    """Sums over all rows, as exact decimal text: costs by BillingCurrency, quantity by ConsumedUnit."""

    rows: Annotated[int, Field(ge=0)]
    billed_cost: dict[str, DecimalText]
    effective_cost: dict[str, DecimalText]
    consumed_quantity: dict[str, DecimalText]


class ColumnType(_Part):
    """A column of the data files and its type."""

    name: str
    type: str


class Generator(_Part):
    """The program that made the delivery."""

    name: str
    version: str

    @classmethod
    @cache
    def this(cls) -> Generator:
        """This program, as installed."""
        return cls(name="focus-assets", version=version("focus-assets"))


class Signature(_Part):
    """That the holder of a key wrote this manifest: over its canonical JSON (RFC 8785) without ``signature``.

    ``key_id`` is the begin of the sha256 of the public key (SubjectPublicKeyInfo, DER); ``value`` is base64.
    """

    algorithm: Literal["ed25519"]
    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    value: str


class Manifest(_Part):
    """One delivery of one billing month to one destination.

    ``content_digest`` covers what is delivered, not when and by what: it leaves out generated_at, generator, retired,
    signature, source_digest, supersedes and terms_digest. ``supersedes`` is the content digest of the manifest that
    stood here before; ``source_digest`` that of the lake's days it was made from, ``terms_digest`` that of what the
    destination asked for, its URL left out. ``generator`` is the program and its version. ``dimensions`` are what this
    destination decided about FOCUS columns, ``tags`` about keys of Tags (null: taken away; left out where nothing).
    There is no run id: the same lake delivered at the same instant gives the same bytes, also where the run that began
    was killed and another one ended it. The ledger has it, by content digest.
    """

    format_version: Literal["1"] = FORMAT_VERSION
    destination: str
    dataset: str
    focus_version: str
    partial: bool
    format: Literal["parquet", "csv"]
    compression: str
    layout: Literal["hive", "aws", "finops-hubs"]
    mode: Literal["overwrite", "new_version"]
    billing_month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    scope: Scope
    dimensions: dict[str, str | None]
    tags: KeyValues = {}
    periods: tuple[PeriodStatus, ...]
    days: tuple[DayCompleteness, ...]
    files: tuple[DataFile, ...]
    totals: ControlTotals
    columns: tuple[ColumnType, ...]
    focus_schema: SchemaReference
    focus_metadata: ReferredFile
    content_digest: str = ""
    source_digest: Sha256
    terms_digest: Sha256
    supersedes: Sha256 | None = None
    retired: tuple[RetiredFile, ...]
    generated_at: AwareDatetime
    generator: Generator
    signature: Signature | None = None

    def sealed(self) -> Manifest:
        """This manifest with its content digest set."""
        return self.model_copy(update={"content_digest": self.compute_content_digest()})

    def compute_content_digest(self) -> str:
        """The sha256 of the canonical JSON of what is delivered."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json", exclude=_NOT_CONTENT))).hexdigest()

    @property
    def sealed_as_it_is(self) -> bool:
        """Whether the content digest is that of the content: not so where somebody edited the file."""
        return self.compute_content_digest() == self.content_digest

    def to_bytes(self) -> bytes:
        """Canonical JSON; equal manifests give equal bytes. One that is not signed does not speak of signatures."""
        unsigned = {"signature"} if self.signature is None else None
        return canonical_json(self.model_dump(mode="json", exclude=unsigned)) + b"\n"

    def signed_bytes(self) -> bytes:
        """What a signature is over."""
        return canonical_json(self.model_dump(mode="json", exclude={"signature"}))

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Manifest:
        """Read a manifest; raises :class:`InvalidManifest` naming ``where``."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise InvalidManifest(
                f"{where} is no manifest of format {FORMAT_VERSION}: {place}: {first['msg']}"
            ) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a manifest, for readers in any language."""
    described = Manifest.model_json_schema(mode="serialization")
    described["required"] = [name for name in described["required"] if name not in ("signature", "tags")]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def canonical_json(value: object) -> bytes:
    """``value`` as JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

"""Where the files of a delivery lie below a destination's URL: one class for each layout profile.

What belongs here: names and paths. What does not: which URLs a destination may have (``urls``).

Data files carry a digest in their name and are never changed. A folder may hold files of other people; only what
:meth:`Layout.is_ours` says is ever removed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

METADATA: Final = "metadata"
COST_AND_USAGE: Final = "focus_cost_and_usage"
FOLDERS: Final[Mapping[str, str]] = {
    "focus_billing_period": "billing-period",
    "focus_invoice_detail": "invoice-detail",
    "focus_contract_commitment": "contract-commitment",
    "focus_price_list": "price-list",
}
"""What the folders of the other datasets are called, and the datasets themselves in a destination's ``datasets``."""
_HUB_FOLDERS: Final[Mapping[str, str]] = {
    COST_AND_USAGE: "Costs",
    "focus_billing_period": "BillingPeriods",
    "focus_invoice_detail": "InvoiceDetails",
    "focus_contract_commitment": "ContractCommitments",
    "focus_price_list": "PriceList",
}
_BELOW: Final = rf"(?:(?:{'|'.join(FOLDERS.values())})/)?"
_DAY: Final = r"\d{4}-\d{2}-\d{2}"
_DIGEST: Final = r"[0-9a-f]{32}"
_MONTH: Final = r"(?P<month>\d{4}-(?:0[1-9]|1[0-2]))"
_ENDING: Final = r"\.(?:parquet|csv\.gz)"


def schema_path(schema_id: str) -> str:
    """The path of the FOCUS Schema object that a destination's deliveries share, in every layout."""
    return f"{METADATA}/schema-{schema_id}.json"


@dataclass(frozen=True)
class NamedFile:
    """What a data file's name is made of: its day, its digest, and ``parquet`` or ``csv.gz``."""

    day: dt.date
    sha256: str
    ending: str


@dataclass(frozen=True)
class Layout(ABC):
    """Paths of one destination's files of a dataset; they are relative to its URL.

    Cost and Usage lies at the URL itself, every other dataset in a folder of its own: each is a table.
    """

    destination: str
    dataset: str = COST_AND_USAGE
    name: ClassVar[str]

    @property
    def below(self) -> str:
        """What the paths of the dataset begin with."""
        return f"{FOLDERS[self.dataset]}/" if self.dataset in FOLDERS else ""

    @abstractmethod
    def folder(self, month: str) -> str:
        """Where a billing month's data files lie."""

    @abstractmethod
    def manifest_path(self, month: str) -> str:
        """Where a billing month's manifest lies."""

    @abstractmethod
    def data_paths(self, month: str, files: Sequence[NamedFile]) -> list[str]:
        """Where the data files of one delivery lie, in their order."""

    @abstractmethod
    def month_of_manifest(self, path: str) -> str | None:
        """The billing month whose manifest ``path`` is; None for any other file."""

    def metadata_folder(self, month: str) -> str:
        """Where a billing month's manifest and FOCUS metadata lie."""
        return self.folder(month)

    def metadata_path(self, month: str, sha256: str) -> str:
        """Where a billing month's FOCUS metadata lies, named by its digest."""
        return f"{self.metadata_folder(month)}/metadata-{sha256[:32]}.json"

    def version_path(self, month: str, content_digest: str) -> str:
        """Where the manifest of one version stays, for destinations that keep versions."""
        return f"{self.metadata_folder(month)}/versions/{content_digest[:32]}.json"

    def folders(self, month: str) -> tuple[str, ...]:
        """Every folder that holds files of a billing month."""
        return tuple(dict.fromkeys((self.folder(month), self.metadata_folder(month))))

    def is_ours(self, path: str) -> bool:
        """Whether a file in such a folder is data or FOCUS metadata of a delivery, by its name."""
        return re.fullmatch(rf"({_DAY}-{_DIGEST}{_ENDING}|metadata-{_DIGEST}\.json)", _last(path)) is not None


class Hive(Layout):
    """``billing_period=2026-08/2026-08-01-<digest>.parquet``, as engines read partitions."""

    name = "hive"

    def folder(self, month: str) -> str:
        return f"{self.below}billing_period={month}"

    def manifest_path(self, month: str) -> str:
        return f"{self.folder(month)}/manifest.json"

    def data_paths(self, month: str, files: Sequence[NamedFile]) -> list[str]:
        return [f"{self.folder(month)}/{_named(file)}" for file in files]

    def month_of_manifest(self, path: str) -> str | None:
        return _month(rf"{_BELOW}billing_period={_MONTH}/manifest\.json", path)


class Aws(Layout):
    """``data/BILLING_PERIOD=2026-08/…`` and ``metadata/BILLING_PERIOD=2026-08/<name>-Manifest.json``.

    The folders of AWS Data Exports, so that what reads those finds these.
    """

    name = "aws"

    def folder(self, month: str) -> str:
        return f"{self.below}data/BILLING_PERIOD={month}"

    def metadata_folder(self, month: str) -> str:
        return f"{self.below}{METADATA}/BILLING_PERIOD={month}"

    def manifest_path(self, month: str) -> str:
        return f"{self.metadata_folder(month)}/{self.destination}-Manifest.json"

    def data_paths(self, month: str, files: Sequence[NamedFile]) -> list[str]:
        return [f"{self.folder(month)}/{_named(file)}" for file in files]

    def month_of_manifest(self, path: str) -> str | None:
        return _month(rf"{_BELOW}metadata/BILLING_PERIOD={_MONTH}/[^/]+-Manifest\.json", path)


class FinOpsHubs(Layout):
    """``Costs/2026/08/<name>/<ingestion id>__2026-08-01.parquet``, as FinOps hubs ingests it.

    A hub takes the files of one ingestion id for the whole of a folder, so each delivery has an id of its own, made
    of all its files, and names every file again.
    """

    name = "finops-hubs"

    def folder(self, month: str) -> str:
        return f"{_HUB_FOLDERS[self.dataset]}/{month[:4]}/{month[5:]}/{self.destination}"

    def manifest_path(self, month: str) -> str:
        return f"{self.folder(month)}/manifest.json"

    def data_paths(self, month: str, files: Sequence[NamedFile]) -> list[str]:
        lines = "".join(f"{file.day.isoformat()} {file.sha256}\n" for file in files)
        ingestion = hashlib.sha256(lines.encode()).hexdigest()[:32]
        return [f"{self.folder(month)}/{ingestion}__{file.day.isoformat()}.{file.ending}" for file in files]

    def month_of_manifest(self, path: str) -> str | None:
        folders = "|".join(_HUB_FOLDERS.values())
        match = re.fullmatch(rf"(?:{folders})/(\d{{4}})/(0[1-9]|1[0-2])/[^/]+/manifest\.json", path)
        return f"{match[1]}-{match[2]}" if match else None

    def is_ours(self, path: str) -> bool:
        name = _last(path)
        return re.fullmatch(rf"({_DIGEST}__{_DAY}{_ENDING}|metadata-{_DIGEST}\.json)", name) is not None


_KINDS: Final[dict[str, type[Layout]]] = {kind.name: kind for kind in (Hive, Aws, FinOpsHubs)}


def layout_of(name: str, destination: str, dataset: str = COST_AND_USAGE) -> Layout:
    """The layout profile of that name for a destination's deliveries of a dataset."""
    return _KINDS[name](destination, dataset)


def manifest_folders(month: str, dataset: str = COST_AND_USAGE) -> tuple[str, ...]:
    """Every folder below which manifests of a dataset's billing month lie, in any layout and for any destination."""
    return tuple(kind("", dataset).metadata_folder(month).rstrip("/") for kind in _KINDS.values())


def month_of_manifest(path: str) -> str | None:
    """The billing month whose manifest ``path`` is in some layout; None for any other file."""
    months = (kind("").month_of_manifest(path) for kind in _KINDS.values())
    return next((month for month in months if month is not None), None)


def split_manifest_url(url: str) -> tuple[str, str] | None:
    """A manifest's URL as the destination's URL and the path below it; None where it is no manifest's."""
    parts = url.split("/")
    # The longest first: a dataset's folder is part of the path, not of the URL.
    for depth in range(min(5, len(parts) - 1), 1, -1):
        path = "/".join(parts[-depth:])
        if month_of_manifest(path) is not None:
            return "/".join(parts[:-depth]), path
    return None


def _named(file: NamedFile) -> str:
    return f"{file.day.isoformat()}-{file.sha256[:32]}.{file.ending}"


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _month(pattern: str, path: str) -> str | None:
    match = re.fullmatch(pattern, path)
    return match["month"] if match else None

"""Where the files of a delivery lie below a destination's URL.

What belongs here: names and paths. What does not: which URLs a destination may have (``urls``).
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

MANIFEST: Final = "manifest.json"
METADATA: Final = "metadata"
_MANIFEST_PATH: Final = re.compile(r"^billing_period=(\d{4}-\d{2})/manifest\.json$")


def month_folder(month: str) -> str:
    """The folder of a billing month, as a Hive partition that engines understand."""
    return f"billing_period={month}"


def manifest_path(month: str) -> str:
    """The path of a billing month's manifest."""
    return f"{month_folder(month)}/{MANIFEST}"


def data_file_path(month: str, charge_date: dt.date, sha256: str) -> str:
    """The path of a day's rows: it holds their digest, so a file never changes under its name."""
    return f"{month_folder(month)}/{charge_date.isoformat()}-{sha256[:32]}.parquet"


def schema_path(schema_id: str) -> str:
    """The path of the FOCUS Schema object that a destination's deliveries share."""
    return f"{METADATA}/schema-{schema_id}.json"


def metadata_path(month: str, sha256: str) -> str:
    """The path of a billing month's FOCUS metadata, named by its digest."""
    return f"{month_folder(month)}/metadata-{sha256[:32]}.json"


def month_of_manifest(path: str) -> str | None:
    """The billing month whose manifest ``path`` is; None for any other file."""
    match = _MANIFEST_PATH.match(path)
    return match.group(1) if match else None

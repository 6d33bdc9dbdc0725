"""The view ``deliveries``: the ledger as a table.

What belongs here: its SQL. What does not: the entries (``delivery.ledger``), and where views are created
(``view_file``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from focus_assets.delivery.ledger import ROOT, SCHEMA
from focus_assets.sql.views import identifier, sql_type, text

LEDGER_GLOB: Final = f"{ROOT}/*/*/*.json"
"""Where the entries lie below a lake: by destination, billing month and number."""

_SUMS: Final = ("billed_cost", "effective_cost", "consumed_quantity")
_TOTALS: Final = "STRUCT(rows BIGINT, " + ", ".join(f"{name} JSON" for name in _SUMS) + ")"


@dataclass(frozen=True)
class LedgerView:
    """One row per delivery, with the columns of ``delivery.ledger.SCHEMA``."""

    name: str = "deliveries"
    dataset: str = ROOT
    comment: str = "a delivery of a billing month to a destination; sums are JSON by currency or unit"

    def sql(self, files: Sequence[str]) -> str:
        """The ``CREATE VIEW`` over JSON files or globs; over none, a view with these columns and no rows."""
        return f"CREATE VIEW {identifier(self.name)} AS {self._select(files)}"

    def _select(self, files: Sequence[str]) -> str:
        if not files:
            columns = ", ".join(
                f"CAST(NULL AS {sql_type(dtype)}) AS {identifier(name)}" for name, dtype in SCHEMA.items()
            )
            return f"SELECT {columns} WHERE false"
        own = {name: dtype for name, dtype in SCHEMA.items() if name not in (*_SUMS, "rows")}
        types = {name: sql_type(dtype) for name, dtype in own.items()} | {"totals": _TOTALS}
        read = ", ".join(f"{text(name)}: {text(dtype)}" for name, dtype in types.items())
        columns = ", ".join(_column(name) for name in SCHEMA)
        listed = ", ".join(text(file) for file in files)
        # Names and types come from the ledger's own schema, files from the lake; all of them are quoted.
        return (
            f"SELECT {columns} FROM read_json([{listed}], format = 'newline_delimited', "  # noqa: S608
            f"columns = {{{read}}}) ORDER BY destination, billing_month, sequence"
        )


def _column(name: str) -> str:
    if name == "rows":
        return 'totals."rows" AS "rows"'
    return f"CAST(totals.{name} AS VARCHAR) AS {name}" if name in _SUMS else identifier(name)

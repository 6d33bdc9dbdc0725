"""How rows of Cost and Usage, and lines of invoices, say that they correct others.

What belongs here: the signs. What does not: the corrections (``corrections``) and their lines (``corrected_lines``).
"""

from __future__ import annotations

from typing import Final

import polars as pl

CORRECTION: Final = "Correction"
"""ChargeClass of what corrects a closed period; null on what corrects an invoice in the middle of an open one there."""

CORRECTED_LINE: Final = "/corrected/"
"""In InvoiceDetailId, between the corrected line and the start of the period that its correction is billed in."""


def is_correction() -> pl.Expr:
    """Whether a row (stored shape) corrects another one, in the same billing period or in a later one.

    What corrects an invoice names it, whatever its ChargeClass; rows of a closed period may be on none, of a free price
    say, but what corrects them has the class.
    """
    return pl.col("ChargeClass").eq_missing(CORRECTION) | pl.col("x_CorrectedInvoiceId").is_not_null()

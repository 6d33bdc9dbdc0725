"""When billing periods close and what invoices say: the part ``billing`` of ``focus.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from focus_assets.catalog.entry import Entry, Percentage


class CommitmentSettings(Entry):
    """What neither OpenMeter nor a rate card says of a commitment, and FOCUS requires."""

    type: Annotated[str, Field(min_length=1)] = "Minimum Spend"
    """ContractCommitmentType: your own name for this kind of commitment."""
    benefit_category: Literal["Discount", "Entitlement", "Availability", "Other"] = "Other"
    """ContractCommitmentBenefitCategory: what the customer gets for committing."""
    model: Literal["Continuous", "Discontinuous"] = "Discontinuous"
    """ContractCommitmentModel: whether what is not used in one period can be used in another."""
    upfront_percentage: Percentage = Field(default=0, validate_default=True)
    """Percent of the commitment that is paid before usage; says ContractCommitmentPaymentModel too."""
    prepaid_type: Annotated[str, Field(min_length=1)] = "Prepaid Credit"
    """ContractCommitmentType of credit that is bought in advance and expires."""
    prepaid_benefit_category: Literal["Discount", "Entitlement", "Availability", "Other"] = "Entitlement"
    """ContractCommitmentBenefitCategory of such credit."""


class BillingSettings(Entry):
    """When billing periods close, and what invoices say."""

    close_after_days: Annotated[int, Field(ge=0, le=366)] | None = 3
    """Days after its end at which a period without imported invoices closes; null: never."""
    late_usage: Literal["rebilled", "not_billed"] | None = None
    """What becomes of usage and prices that change after their period closed: rebilled puts the difference on the next
    invoice, not_billed shows late quantities at no cost. Absent: rebilled, with an OpenMeter server not_billed."""
    payment_terms: Annotated[str, Field(min_length=1)] = "Net 30"
    """PaymentTerms of invoices, in the words of the agreement."""
    payment_days: Annotated[int, Field(ge=0, le=3660)] | None = 30
    """Days from issue in which an invoice has to be paid; null: not known."""
    contract_commitments: CommitmentSettings | None = None
    """Fill focus_contract_commitment and ContractApplied from minimum spends and prepaid credit; FOCUS wants more than
    they say."""

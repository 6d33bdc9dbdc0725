"""Deliveries: a billing month's FOCUS rows, complete or absent, at each destination.

What belongs here: what may be delivered (``gate``), to whom it is due (``due``), the files and their
manifest, the ledger of what was delivered, and the check of a delivery from outside (``verify``). What does
not: when to deliver (``orchestration``) and how rows are computed (``focus``).
"""

from focus_assets.delivery.deliver import DeliveryFailure, DeliveryResult, deliver, deliver_all
from focus_assets.delivery.deliver_others import deliver_month, deliver_others
from focus_assets.delivery.due import Due, due, together
from focus_assets.delivery.errors import DeliveryRaced, DeliveryRefused, DestinationError
from focus_assets.delivery.facts import billing_month_facts
from focus_assets.delivery.gate import Control, Refusal, refusals
from focus_assets.delivery.ledger import entries, latest_deliveries
from focus_assets.delivery.manifest import Manifest
from focus_assets.delivery.metadata_files import Provider
from focus_assets.delivery.months import BillingMonth, billing_months, months_of
from focus_assets.delivery.run import DeliveryRun
from focus_assets.delivery.urls import check_destinations
from focus_assets.delivery.verify import NothingDelivered, Verification, verify

__all__ = [
    "BillingMonth",
    "Control",
    "DeliveryFailure",
    "DeliveryRaced",
    "DeliveryRefused",
    "DeliveryResult",
    "DeliveryRun",
    "DestinationError",
    "Due",
    "Manifest",
    "NothingDelivered",
    "Provider",
    "Refusal",
    "Verification",
    "billing_month_facts",
    "billing_months",
    "check_destinations",
    "deliver",
    "deliver_all",
    "deliver_month",
    "deliver_others",
    "due",
    "entries",
    "latest_deliveries",
    "months_of",
    "refusals",
    "together",
    "verify",
]

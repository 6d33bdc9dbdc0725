"""Invoices as OpenMeter's v1 gives them, from figures that somebody worked out by hand: nothing is rated here.

What belongs here: the shape of an invoice, a line and a detailed line. What does not: what usage comes to; every
amount is stated by the test, but for sums of what it stated.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from focus_assets_tests.openmeter_server.documents import Document, ulid, underscored

_ZERO = Decimal(0)


def totals(
    amount: str = "0",
    *,
    charges: str = "0",
    discounts: str = "0",
    credits: str = "0",
    tax: str = "0",
    inclusive: bool = False,
) -> Document:
    """Of a line or a detailed line; inclusive tax is part of the amount."""
    outside = _ZERO if inclusive else Decimal(tax)
    total = Decimal(amount) + Decimal(charges) + outside - Decimal(discounts) - Decimal(credits)
    return {
        "amount": amount,
        "chargesTotal": charges,
        "discountsTotal": discounts,
        "creditsTotal": credits,
        "taxesInclusiveTotal": tax if inclusive else "0",
        "taxesExclusiveTotal": "0" if inclusive else tax,
        "taxesTotal": tax,
        "total": f"{total:f}",
    }


def added(all_of: Sequence[Document]) -> Document:
    """Totals that sum others up."""
    names = totals()
    return {name: f"{sum((Decimal(each[name]) for each in all_of), _ZERO):f}" for name in names}


def _common(kind: str, key: str, name: str, period: tuple[str, str], made: str) -> Document:
    return {
        "id": ulid(kind, key),
        "name": name,
        "createdAt": made,
        "updatedAt": made,
        "currency": "USD",
        "period": {"from": period[0], "to": period[1]},
        "invoiceAt": period[1],
    }


def detailed(name: str, quantity: str, unit_price: str, of: Document, category: str = "regular") -> Document:
    """A detailed line without the id and period that its line gives it."""
    return {
        "name": name,
        "quantity": quantity,
        "perUnitAmount": unit_price,
        "category": category,
        "totals": of,
        "managedBy": "system",
        "status": "detailed",
        "type": "flat_fee",
        "paymentTerm": "in_arrears",
    }


def line(
    name: str,
    period: tuple[str, str],
    details: Sequence[Document] = (),
    *,
    subscription: str | None = None,
    item: str | None = None,
    since: str = "2026-08-01 00:00:00+00:00",
    billing: tuple[str, str] = ("2026-08-01T00:00:00Z", "2026-08-08T00:00:00Z"),
    price: Document | None = None,
    metered: str | None = None,
    before: str | None = None,
    by_hand: bool = False,
    of: Document | None = None,
    made: str = "2026-08-08T01:00:00Z",
) -> Document:
    """A line; ``since`` is when its item's version began. Its totals are those of its details unless stated."""
    key = f"{name}/{subscription}/{period[0]}"
    found = _common("line", key, name, period, made) | {
        "managedBy": "manual" if by_hand else "subscription",
        "status": "valid",
        "type": "usage_based",
        "totals": of or added([each["totals"] for each in details]),
        "children": [
            _common("detail", f"{key}/{number}", each["name"], period, made) | each
            for number, each in enumerate(details)
        ],
    }
    if metered is not None:
        found |= {"meteredQuantity": metered, "quantity": metered}
    if before is not None:
        found |= {"meteredPreLinePeriodQuantity": before, "preLinePeriodQuantity": before}
    if price is not None:
        found["rateCard"] = {"price": price}
    if subscription is not None and item is not None:
        found["subscription"] = {
            "subscription": {"id": ulid("subscription", subscription)},
            "phase": {"id": ulid("phase", subscription)},
            "item": {"id": ulid("item", f"{subscription}/{item}/{since}")},
            "billingPeriod": {"from": billing[0], "to": billing[1]},
        }
        if price is None or price["type"] != "flat":
            found["featureKey"] = underscored(item)
    return found


def invoice(
    number: str,
    customer: str,
    lines: Sequence[Document],
    *,
    status: str = "issued",
    made: str = "2026-08-08T01:00:00Z",
    supplier: str | None = "Test Vendor Inc.",
    **others: Any,
) -> Document:
    """An invoice whose totals are those of its lines."""
    found: Document = {
        "id": ulid("invoice", number),
        "type": "standard",
        "number": number,
        "createdAt": made,
        "updatedAt": made,
        "currency": "USD",
        "status": status,
        "statusDetails": {
            "immutable": status != "draft",
            "failed": False,
            "extendedStatus": status,
            "availableActions": {},
        },
        "supplier": {"name": supplier} if supplier else {},
        "customer": {
            "id": ulid("customer", customer),
            "key": customer,
            "usageAttribution": {"subjectKeys": []},
        },
        "totals": added([each["totals"] for each in lines]),
        "workflow": {"sourceBillingProfileId": ulid("profile", "default"), "workflow": {}},
        "lines": list(lines),
    }
    if status not in ("draft", "gathering"):
        found["issuedAt"] = made
        found["dueAt"] = f"{dt.datetime.fromisoformat(made) + dt.timedelta(days=30):%FT%TZ}"
    return found | others

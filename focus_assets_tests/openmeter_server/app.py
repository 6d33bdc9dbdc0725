"""The server's endpoints: v3 and v1 over one catalog, one metering and one list of events."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from focus_assets.catalog.models import Meter
from focus_assets.catalog.snapshot import Catalog
from focus_assets.cloudevents.query import SUBJECT, WindowSize
from focus_assets_tests.openmeter_server import documents, documents_v3
from focus_assets_tests.openmeter_server.documents import Document, ulid
from focus_assets_tests.openmeter_server.metering import CUSTOMER, Asked, Metering, as_float_text

V3 = "/api/v3/openmeter"
V1 = "/api/v1"
_CURRENCIES = [
    {"code": "JPY", "name": "Yen", "symbol": "¥", "subunits": 0},
    {"code": "KWD", "name": "Kuwaiti Dinar", "symbol": "KD", "subunits": 3},
    {"code": "USD", "name": "US Dollar", "symbol": "$", "subunits": 2},
]


@dataclass(frozen=True)
class Came:
    """An event and when it came."""

    event: Mapping[str, Any]
    ingested_at: dt.datetime
    stored_at: dt.datetime


@dataclass
class Company:
    """What the server knows. ``catalog`` may be replaced while it runs, as people edit things."""

    catalog: Catalog
    metering: Metering
    events: list[Came] = field(default_factory=list)
    invoices: list[Document] = field(default_factory=list)
    token: str | None = None
    has_v3: bool = True
    has_v1: bool = True
    value_text: Callable[[Any], str] = as_float_text

    @property
    def subjects_of(self) -> dict[str, tuple[str, ...]]:
        return {ulid("customer", c.key): c.subjects for c in self.catalog.customer.values()}

    def meter(self, name: str) -> Meter:
        for meter in self.catalog.meters:
            if name in (meter.slug, ulid("meter", meter.slug)):
                return meter
        raise Refused(404, f"no meter {name}")


class Refused(Exception):
    """A request the server does not answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def application(company: Company) -> Starlette:
    """The server's ASGI application."""

    def route(path: str, answer: Callable[[Request, Company], Any], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                _authorize(request, company, path)
                return rendered(200, await answer(request, company))
            except Refused as refused:
                return problem(refused.status, refused.detail)

        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[
            route(f"{V3}/meters", _v3_list(lambda c: map(documents.meter_v3, c.catalog.meters))),
            route(f"{V3}/meters/{{meter}}/query", _query_v3, "POST"),
            route(
                f"{V3}/customers", _v3_list(lambda c: map(documents.customer_v3, c.catalog.customer.values()))
            ),
            route(
                f"{V3}/features",
                _v3_list(
                    lambda c: (
                        documents.feature_v3(f) | documents.unit_cost_v3(c.catalog, f)
                        for f in c.catalog.features
                    )
                ),
            ),
            route(
                f"{V3}/llm-cost/prices",
                _v3_list(lambda c: map(documents.llm_price_v3, c.catalog.llm_prices)),
            ),
            route(
                f"{V3}/subscriptions",
                _v3_list(
                    lambda c: (documents.subscription_v3(c.catalog, s) for s in c.catalog.subscriptions)
                ),
            ),
            route(f"{V3}/subscriptions/{{subscription}}", _subscription_v3),
            route(f"{V3}/events", _events_v3),
            route(f"{V1}/events", _events_v1),
            route(f"{V1}/meters", _meters_v1),
            route(f"{V1}/meters/{{meter}}/query", _query_v1, "POST"),
            route(f"{V1}/meters/{{meter}}/query", _query_v1_get),
            route(
                f"{V1}/customers", _v1_list(lambda c: map(documents.customer_v1, c.catalog.customer.values()))
            ),
            route(f"{V1}/customers/{{customer}}/subscriptions", _subscriptions_of_customer),
            route(
                f"{V1}/features",
                _v1_list(
                    lambda c: (
                        documents.feature_v1(f) | documents.unit_cost_v1(c.catalog, f)
                        for f in c.catalog.features
                    )
                ),
            ),
            route(
                f"{V1}/plans",
                _v1_list(
                    lambda c: (
                        documents.plan_v1(c.catalog, p)
                        for p in c.catalog.plans
                        if not documents_v3.is_only_v3(p)
                    )
                ),
            ),
            route(f"{V3}/plans/{{plan}}", _plan_v3),
            route(f"{V1}/subscriptions/{{subscription}}", _subscription_v1),
            route(f"{V1}/billing/invoices", _invoices),
            route(f"{V1}/info/currencies", _currencies),
        ],
        exception_handlers={404: lambda request, error: problem(404, "no such path")},
    )


def rendered(status: int, document: Any, kind: str = "application/json") -> Response:
    """A document as JSON; values that are texts of numbers already stand in it unquoted, see :class:`Bare`."""
    text = json.dumps(document, separators=(",", ":"))
    return Response(_BARE.sub(r"\1", text), status_code=status, media_type=kind)


_BARE = re.compile(r'"\\u0000(.*?)\\u0000"')


def bare(number: str) -> str:
    """A number that is to stand in JSON exactly as written."""
    return f"\0{number}\0"


def problem(status: int, detail: str, **headers: str) -> Response:
    document = {
        "type": "about:blank",
        "title": {400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": "urn:request:test-server/000001",
        "invalid_parameters": [],
    }
    response = rendered(status, document, "application/problem+json")
    response.headers.update(headers)
    return response


def _authorize(request: Request, company: Company, path: str) -> None:
    if not (company.has_v3 if path.startswith(V3) else company.has_v1):
        raise Refused(404, "no such path")
    if company.token and request.headers.get("authorization") != f"Bearer {company.token}":
        raise Refused(401, "a bearer token is needed")


def _v3_list(entries: Callable[[Company], Any]) -> Callable[[Request, Company], Any]:
    async def answer(request: Request, company: Company) -> Document:
        found = list(entries(company))
        size = int(request.query_params.get("page[size]", 20))
        number = int(request.query_params.get("page[number]", 1))
        data = found[(number - 1) * size : number * size]
        return {"data": data, "meta": {"page": {"number": number, "size": size, "total": len(found)}}}

    return answer


def _v1_page(request: Request, found: Sequence[Any]) -> tuple[int, int, list[Any]]:
    page, size = int(request.query_params.get("page", 1)), int(request.query_params.get("pageSize", 100))
    if not 1 <= size <= 1000:
        raise Refused(400, "pageSize is 1 to 1000")
    return page, size, list(found)[(page - 1) * size : page * size]


def _v1_list(entries: Callable[[Company], Any]) -> Callable[[Request, Company], Any]:
    async def answer(request: Request, company: Company) -> Document:
        found = list(entries(company))
        page, size, items = _v1_page(request, found)
        return {"totalCount": len(found), "page": page, "pageSize": size, "items": items}

    return answer


async def _meters_v1(request: Request, company: Company) -> list[Document]:
    return _v1_page(request, list(map(documents.meter_v1, company.catalog.meters)))[2]


async def _currencies(request: Request, company: Company) -> list[Document]:
    return _CURRENCIES


async def _invoices(request: Request, company: Company) -> Document:
    """Invoices by status and time of making; lines only where they are asked for."""
    statuses = request.query_params.getlist("statuses")
    after = _instant(request.query_params.get("createdAfter"))
    found = [
        each
        for each in company.invoices
        if (not statuses or each["status"] in statuses)
        and (after is None or after <= (_instant(each["createdAt"]) or after))
    ]
    if "lines" not in request.query_params.getlist("expand"):
        found = [{key: value for key, value in each.items() if key != "lines"} for each in found]
    page, size, items = _v1_page(request, found)
    return {"totalCount": len(found), "page": page, "pageSize": size, "items": items}


async def _subscriptions_of_customer(request: Request, company: Company) -> Document:
    name = request.path_params["customer"]
    found = [
        documents.listed_subscription_v1(company.catalog, s)
        for s in company.catalog.subscriptions
        if name in (s.customer, ulid("customer", s.customer))
    ]
    page, size, items = _v1_page(request, found)
    return {"totalCount": len(found), "page": page, "pageSize": size, "items": items}


async def _subscription_v3(request: Request, company: Company) -> Document:
    for subscription in company.catalog.subscriptions:
        if ulid("subscription", subscription.key) == request.path_params["subscription"]:
            return documents_v3.whole_subscription_v3(company.catalog, subscription)
    raise Refused(404, "no such subscription")


async def _plan_v3(request: Request, company: Company) -> Document:
    for plan in company.catalog.plans:
        if ulid("plan", plan.key) == request.path_params["plan"]:
            return documents_v3.plan_v3(company.catalog, plan)
    raise Refused(404, "no such plan")


async def _subscription_v1(request: Request, company: Company) -> Document:
    for subscription in company.catalog.subscriptions:
        if ulid("subscription", subscription.key) == request.path_params["subscription"]:
            if documents_v3.converts_units(company.catalog, subscription):
                raise Refused(400, "this resource uses unit_config and is only available via the v3 API")
            return documents.subscription_v1(company.catalog, subscription)
    raise Refused(404, "no such subscription")


async def _query_v3(request: Request, company: Company) -> Document:
    meter = company.meter(request.path_params["meter"])
    body = await request.json()
    filters = {
        key: tuple(f.get("in") or [f["eq"]]) for key, f in _deep(body, "filters", "dimensions").items()
    }
    subjects, customers = filters.pop(SUBJECT, ()), filters.pop(CUSTOMER, ())
    asked = Asked(
        start=_instant(body.get("from")),
        end=_instant(body.get("to")),
        window=WindowSize(body["granularity"]) if body.get("granularity") else None,
        time_zone=body.get("time_zone", "UTC"),
        group_by=tuple(body.get("group_by_dimensions", ())),
        subjects=subjects,
        customer_ids=customers,
        filters=tuple(sorted(filters.items())),
    )
    data = []
    for row in company.metering.rows(meter, asked, company.subjects_of):
        dimensions = dict(row.dimensions)
        if row.subject is not None:
            dimensions[SUBJECT] = row.subject
        if row.customer_id is not None:
            dimensions[CUSTOMER] = row.customer_id
        data.append(
            {
                "value": company.value_text(row.value),
                "from": documents.instant(row.start),
                "to": documents.instant(row.end),
                "dimensions": dimensions,
            }
        )
    return {"from": body.get("from"), "to": body.get("to"), "data": data}


async def _query_v1(request: Request, company: Company) -> Document:
    return _answer_v1(request, company, await request.json())


async def _query_v1_get(request: Request, company: Company) -> Document:
    asked: Document = {
        key: request.query_params[key] for key in ("from", "to") if key in request.query_params
    }
    for key in ("windowSize", "windowTimeZone"):
        if key in request.query_params:
            asked[key] = request.query_params[key]
    for key in ("groupBy", "subject", "filterCustomerId"):
        asked[key] = request.query_params.getlist(key)
    return _answer_v1(request, company, asked)


def _answer_v1(request: Request, company: Company, body: Document) -> Document:
    meter = company.meter(request.path_params["meter"])
    filters = {key: tuple(f["$in"]) for key, f in body.get("advancedMeterGroupByFilters", {}).items()}
    filters |= {key: tuple(texts) for key, texts in body.get("filterGroupBy", {}).items()}
    asked = Asked(
        start=_instant(body.get("from")),
        end=_instant(body.get("to")),
        window=WindowSize[body["windowSize"]] if body.get("windowSize") else None,
        time_zone=body.get("windowTimeZone", "UTC"),
        group_by=tuple(body.get("groupBy", ())),
        subjects=tuple(body.get("subject", ())),
        customer_ids=tuple(body.get("filterCustomerId", ())),
        filters=tuple(sorted(filters.items())),
    )
    data = []
    for row in company.metering.rows(meter, asked, company.subjects_of):
        found = {
            "value": bare(company.value_text(row.value)),
            "windowStart": documents.instant(row.start),
            "windowEnd": documents.instant(row.end),
            "subject": row.subject,
            "groupBy": dict(row.dimensions),
        }
        data.append(found | ({"customerId": row.customer_id} if row.customer_id else {}))
    window = {"windowSize": body["windowSize"]} if body.get("windowSize") else {}
    return {"from": body.get("from"), "to": body.get("to"), **window, "data": data}


async def _events_v3(request: Request, company: Company) -> Document:
    """Events in a range of ``stored_at``, ``ingested_at`` or ``time``, by cursor, 100 to a page at most."""
    found = list(company.events)
    for key, text in request.query_params.multi_items():
        if match := re.fullmatch(r"filter\[(stored_at|ingested_at|time)\]\[(gte|gt|lte|lt)\]", key):
            found = [came for came in found if _passes(_clock(came, match[1]), match[2], _instant(text))]
    by, _, direction = request.query_params.get("sort", "time").partition(" ")
    ordered = sorted(found, key=lambda came: (_clock(came, by), came.event["source"], came.event["id"]))
    if direction != "asc":
        ordered.reverse()
    size = int(request.query_params.get("page[size]", 20))
    if not 1 <= size <= 100:
        raise Refused(400, "page[size] is 1 to 100")
    after = request.query_params.get("page[after]")
    begin = int(base64.b64decode(after).decode()) if after else 0
    page = ordered[begin : begin + size]
    # The cursor comes with every full page, so an exact multiple costs one more, empty page.
    following = base64.b64encode(str(begin + size).encode()).decode() if len(page) == size else None
    data = [
        {
            "event": dict(came.event),
            "ingested_at": documents.instant(came.ingested_at),
            "stored_at": documents.instant(came.stored_at),
        }
        for came in page
    ]
    return {"data": data, "meta": {"page": {"size": size, "next": following, "previous": None}}}


async def _events_v1(request: Request, company: Company) -> list[Document]:
    """The newest events of a range of ``ingestedAt`` and ``time``, 100 at most and no way to go on."""
    given = request.query_params
    found = list(company.events)
    for name, clock, operator in (
        ("ingestedAtFrom", "ingested_at", "gte"),
        ("ingestedAtTo", "ingested_at", "lte"),
        ("from", "time", "gte"),
        ("to", "time", "lte"),
    ):
        if name in given:
            found = [came for came in found if _passes(_clock(came, clock), operator, _instant(given[name]))]
    found.sort(key=lambda came: _clock(came, "time"), reverse=True)
    return [
        {
            "event": dict(came.event),
            "ingestedAt": documents.instant(came.ingested_at),
            "storedAt": documents.instant(came.stored_at),
        }
        for came in found[: int(given.get("limit", 100))]
    ]


def _clock(came: Came, name: str) -> dt.datetime:
    if name == "time":
        found = _instant(came.event["time"])
        assert found is not None
        return found
    return came.stored_at if name == "stored_at" else came.ingested_at


def _passes(value: dt.datetime, operator: str, bound: dt.datetime | None) -> bool:
    assert bound is not None
    return {"gte": value >= bound, "gt": value > bound, "lte": value <= bound, "lt": value < bound}[operator]


def _deep(body: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = body
    for key in keys:
        found = found.get(key, {})
    return found  # type: ignore[no-any-return]


def _instant(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text).astimezone(dt.UTC)

"""Where each FOCUS dimension of a meter or a flat fee comes from: its layers, and which of them decides.

A column resolves: the export request, then event dimension or customer value, then the meter's (or fee's) setting, then
the global default. The first layer that answers wins, and an explicit null is an answer where FOCUS allows null. What
belongs here: the layers that stored rows follow, and their order. What does not: what an export decides for its rows
(``export_dimensions``), which columns can be set (``settable``) and the rows themselves (``cost_and_usage``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import polars as pl

from focus_assets.catalog.fees import Fee
from focus_assets.catalog.models import DimensionSetting, FromDimension
from focus_assets.catalog.snapshot import Catalog
from focus_assets.errors import FocusAssetsError
from focus_assets.focus.event_values import SUBJECT
from focus_assets.focus.offers import FeeKey, Offer, fee_key, fee_offers, meter_offers
from focus_assets.focus.services import SUBCATEGORY_PARENTS, subcategories_of
from focus_assets.focus.settable import SETTABLE, Settable, check_settings


class Layer(StrEnum):
    """What decides a column, the first before the others."""

    EXPORT = "export"
    EVENT = "event"
    CUSTOMER = "customer"
    FEE = "fee"
    METER = "meter"
    DEFAULT = "default"
    DERIVED = "derived"
    UNSET = "unset"


@dataclass(frozen=True)
class Problem:
    """One sentence about one column, and the meter it concerns where it concerns one."""

    meter: str | None
    column: str
    sentence: str
    unresolved: bool = False


class DimensionProblems(FocusAssetsError):
    """Dimension settings that cannot stand; ``problems`` holds all of them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        lines = "\n".join(f"  {problem.sentence}" for problem in problems)
        super().__init__(f"{len(problems)} problem(s) with FOCUS dimensions; nothing was written.\n{lines}")


class InvalidDimension(DimensionProblems):
    """A setting names a column or a value that FOCUS does not have."""


class UnresolvedDimension(DimensionProblems):
    """A dimension that FOCUS requires has a value in no layer."""


@dataclass(frozen=True)
class Answer:
    """What decides one column for one meter, or for the fee that ``meter`` then names.

    A row takes the event's ``dimension`` where it has one, else the customer's value, else ``text``, else the
    value of the column it ``follows``; ``is_null`` says that null was given. ``layer`` is the nearest layer
    that can decide, ``set_at`` its key path in focus.yaml, or why there is none.
    """

    meter: str
    column: str
    layer: Layer = Layer.UNSET
    set_at: str = "not set; FOCUS allows null"
    dimension: str | None = None
    text: str | None = None
    is_null: bool = False
    follows: str | None = None

    @property
    def can_have_value(self) -> bool:
        """Whether some row of the meter may have a value, customers' own values aside."""
        return self.dimension is not None or self.text is not None or self.follows is not None

    @property
    def can_lack_value(self) -> bool:
        """Whether some row of the meter may have none, customers' own values aside."""
        return self.text is None and self.follows is None

    def decided(self, layer: Layer, set_at: str) -> Answer:
        """This answer, decided there unless a nearer layer decides it already."""
        return self if self.layer is not Layer.UNSET else replace(self, layer=layer, set_at=set_at)


@dataclass(frozen=True)
class Resolution:
    """Every settable column of every meter and fee that is sold, and what customers say differently."""

    answers: Mapping[tuple[str, str], Answer]
    customers: Mapping[str, Mapping[str, str | None]]
    fees: Mapping[FeeKey, Mapping[str, Answer]] = field(default_factory=dict)

    def of(self, meter: str, column: str) -> Answer:
        """The answer for one meter and column."""
        return self.answers[meter, column]

    def of_fee(self, fee: Fee) -> Mapping[str, Answer]:
        """The answers of one fee, by column."""
        return self.fees[fee_key(fee.rate_card, fee.feature, fee.meter)]

    def to_frame(self) -> pl.DataFrame:
        """One row per meter and column, and one per customer's own value; a null that was given is ``null``.

        Columns, all String: meter, customer, column, layer, value, dimension, set_at; sorted.
        """
        rows: list[tuple[str | None, ...]] = [
            (a.meter, None, a.column, str(a.layer), _said(a.text, a.is_null), a.dimension, a.set_at)
            for _, a in sorted(self.answers.items())
        ]
        rows += [
            (a.meter, None, a.column, str(a.layer), _said(a.text, a.is_null), None, a.set_at)
            for key in sorted(self.fees, key=repr)
            for _, a in sorted(self.fees[key].items())
        ]
        rows += [
            (
                None,
                key,
                column,
                str(Layer.CUSTOMER),
                _said(value, True),
                None,
                f"customers[{key}].{_place_of(column)}",
            )
            for key, values in sorted(self.customers.items())
            for column, value in sorted(values.items())
        ]
        names = ("meter", "customer", "column", "layer", "value", "dimension", "set_at")
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _place_of(column: str) -> str:
    """Where a customer says something about a column, or about one key of Tags (``Tags.team``)."""
    whole, dot, key = column.partition(".")
    return f"tags.{key}" if whole == "Tags" and dot else f"dimensions.{column}"


def _said(text: str | None, given: bool) -> str | None:
    """No column can hold the text null (FOCUS attribute Null Handling), so it stands for the answer."""
    return "null" if text is None and given else text


def resolve(catalog: Catalog) -> Resolution:
    """Decide every settable column of every meter that a feature refers to, and of every flat fee.

    Raises:
        UnresolvedDimension: a column that FOCUS requires has a value in no layer.
        InvalidDimension: a setting names an unknown column, or a value that FOCUS does not allow.
            Either message lists all problems of both kinds with the key paths at which they are mended.
    """
    problems = [Problem(None, column, sentence) for column, sentence in check_settings(catalog)]
    answers: dict[tuple[str, str], Answer] = {}
    for offer in meter_offers(catalog):
        found = _decided(catalog, offer, problems)
        answers |= {(offer.key, column): answer for column, answer in found.items()}
    fees = {key: _decided(catalog, offer, problems) for key, offer in fee_offers(catalog).items()}
    of_fees = {(repr(key), column): found[column] for key, found in fees.items() for column in found}
    problems += _services_with_two_categories(answers | of_fees)
    if problems:
        unresolved = any(problem.unresolved for problem in problems)
        raise (UnresolvedDimension if unresolved else InvalidDimension)(tuple(problems))
    return Resolution(answers, {c.key: dict(c.dimensions) for c in catalog.customers if c.dimensions}, fees)


def _decided(catalog: Catalog, offer: Offer, problems: list[Problem]) -> dict[str, Answer]:
    found = {column: _answer(catalog, offer, settable) for column, settable in SETTABLE.items()}
    found["ServiceSubcategory"] = _subcategory(found)
    problems += _unanswered(catalog, offer, found)
    problems += _wrong_parent(offer, found)
    problems += _ids_without_names(catalog, offer, found)
    return found


def _answer(catalog: Catalog, offer: Offer, settable: Settable) -> Answer:
    answer = Answer(offer.key, settable.column)
    for layer, set_at, setting in _layers(catalog, offer, settable):
        if isinstance(setting, FromDimension):
            if (
                answer.dimension is None
                and not offer.is_fee
                and (setting.dimension in offer.group_by or setting.dimension == SUBJECT)
            ):
                answer = replace(answer.decided(Layer.EVENT, set_at), dimension=setting.dimension)
            if setting.default is None:
                continue
            setting = setting.default
        return replace(answer.decided(layer, set_at), text=setting, is_null=setting is None)
    if settable.stands_in is not None:
        return replace(answer.decided(Layer.DERIVED, "not set; built in"), text=settable.stands_in(offer))
    # Where events name the sub account, one that does not has none: subjects and teams in one column mislead.
    if settable.follows is not None and not (settable.follows == SUBJECT and answer.dimension):
        decided = answer.decided(Layer.DERIVED, f"not set; follows {settable.follows}")
        return replace(decided, follows=settable.follows)
    return answer


def _layers(
    catalog: Catalog, offer: Offer, settable: Settable
) -> Iterator[tuple[Layer, str, DimensionSetting]]:
    """The settings of a column for an offer, nearest first."""
    column = settable.column
    for n, (place, settings) in enumerate(offer.settings):
        if column in settings:
            layer = Layer.FEE if offer.is_fee and n == 0 else Layer.METER
            yield layer, f"{place}.{column}", settings[column]
    if column in catalog.defaults.dimensions:
        yield Layer.DEFAULT, f"defaults.dimensions.{column}", catalog.defaults.dimensions[column]
    name = getattr(catalog.defaults, settable.named) if settable.named else None
    if name is not None:
        yield Layer.DEFAULT, f"defaults.{settable.named}", name


def _unanswered(catalog: Catalog, offer: Offer, found: dict[str, Answer]) -> Iterator[Problem]:
    for column, settable in SETTABLE.items():
        answer = found[column]
        accepted = answer.is_null or (settable.nullable and answer.dimension is not None)
        if not settable.required or accepted or not answer.can_lack_value:
            continue
        silent = [c.key for c in catalog.customers if column not in c.dimensions]
        if settable.by_customer and catalog.customers and not silent:
            found[column] = answer.decided(Layer.CUSTOMER, f"customers[...].dimensions.{column}")
            continue
        if answer.dimension is not None:
            why = f"comes from event dimension {answer.dimension!r}, which events may lack, without a default"
        elif len(silent) < len(catalog.customers):
            others = " and others" if silent[3:] else ""
            why = f"is set for some customers, but not for {', '.join(silent[:3])}{others}"
        else:
            why = "has a value in no layer"
        from_event = settable.from_event and not offer.is_fee
        event = ", to {dimension: <group_by key>, default: <text>}" if from_event else ""
        null = f", or to null {settable.null_means}" if settable.nullable else ""
        sentence = f"{offer.called}: {column} {why}; {offer.where(column)} to a text{event}{null}"
        yield Problem(offer.key, column, sentence, unresolved=True)


def _subcategory(found: Mapping[str, Answer]) -> Answer:
    """The category's own ``Other (...)`` where none is set at least as near as the category."""
    category, answer = found["ServiceCategory"], found["ServiceSubcategory"]
    if category.text is None or not subcategories_of(category.text):
        return answer
    order = list(Layer)
    farther = category.layer is not Layer.DEFAULT and order.index(category.layer) < order.index(answer.layer)
    if answer.text is None or (farther and SUBCATEGORY_PARENTS.get(answer.text) != category.text):
        other = subcategories_of(category.text)[-1]
        return replace(answer, layer=Layer.DERIVED, set_at="not set; the category's Other", text=other)
    return answer


def _wrong_parent(offer: Offer, found: Mapping[str, Answer]) -> Iterator[Problem]:
    category, answer = found["ServiceCategory"], found["ServiceSubcategory"]
    parent = SUBCATEGORY_PARENTS.get(answer.text or "")
    allowed = subcategories_of(category.text or "")
    if parent is not None and allowed and parent != category.text:
        yield Problem(
            answer.meter,
            answer.column,
            f"{answer.set_at}: {answer.text!r} belongs to ServiceCategory {parent!r}, but {offer.called} "
            f"has {category.text!r} ({category.set_at}), which has {', '.join(allowed)}",
        )


def _ids_without_names(catalog: Catalog, offer: Offer, found: Mapping[str, Answer]) -> Iterator[Problem]:
    """FOCUS wants names of regions and sub accounts and types wherever the id has a value."""
    for column, settable in SETTABLE.items():
        if settable.describes is None or not settable.wanted_with_id:
            continue
        key, answer = found[settable.describes], found[column]
        own = [c for c in catalog.customers if {column, key.column} & c.dimensions.keys()]
        for who, values in [("", {}), *((f" of customer {c.key!r}", c.dimensions) for c in own)]:
            has_id = key.dimension is not None or (
                values[key.column] is not None if key.column in values else key.can_have_value
            )
            # "Subject" describes a sub account only where the subject is the sub account.
            built_in = answer.layer is Layer.DERIVED and answer.follows is None
            lacks = answer.can_lack_value or (built_in and (key.column in values or key.follows != SUBJECT))
            if has_id and (values[column] is None if column in values else lacks):
                sentence = (
                    f"{offer.called}: {column}{who} has no value where {key.column} has one; "
                    f"{offer.where(column)} to a text"
                )
                yield Problem(answer.meter, column, sentence, unresolved=True)


def _services_with_two_categories(answers: Mapping[tuple[str, str], Answer]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for (meter, column), answer in answers.items():
        if column != "ServiceName" or answer.dimension is not None or answer.text is None:
            continue
        mine = answers[meter, "ServiceCategory"]
        other = answers[first.setdefault(answer.text, meter), "ServiceCategory"]
        if mine.text and other.text and mine.text != other.text:
            yield Problem(
                meter,
                mine.column,
                f"service {answer.text!r} has ServiceCategory {other.text!r} at meter {other.meter!r} "
                f"({other.set_at}) and {mine.text!r} at meter {mine.meter!r} ({mine.set_at}); "
                "FOCUS wants one category per service",
            )

"""Cases with expected figures, sent through the product's own code.

``python -m focus_assets_tests.vectors FOLDER`` reads every ``*.json`` file of FOLDER: each is a list of
cases, and a case's ``op`` names the module of this package that runs it. What belongs in such a module:
turning a case into the product's own types, calling the product and comparing. What does not: a second
implementation of what is tested.

A module ``focus_assets_tests/vectors/<op>.py`` offers one function::

    def run(case: Mapping[str, Any]) -> Difference | None

It returns ``None`` where the product gives what the case expects, a :class:`Difference` where it does not,
and raises :class:`Skip` with a reason where the platform has no use for what the case is about. Any other
exception counts as a failure. An operation without a module is skipped, with the reason printed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """What a case expected and what the product gave instead, both as short texts."""

    expected: str
    came: str


class Skip(Exception):
    """The case is about something the platform has no use for; the message says why."""

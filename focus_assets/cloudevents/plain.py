"""What a text alone proves of an event, so that nobody need ask for JSON types.

What belongs here: conditions on one text, as SQL. What does not: which of them make an event plain (``envelope``).
They are conditions of a CASE: there, what a test has decided is not tested further, and the tests that decide most are
asked first.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Final

from focus_assets.cloudevents.sql_text import literal

_BEGINNINGS: Final = ('{"specversion":"1.0"', '{"specversion": "1.0"')
"""How an event begins whose specversion is the text 1.0 beyond doubt: of a name that stands twice the first counts."""

_ID_FOLLOWS: Final = (',"id":"', ', "id": "')
"""How an event goes on after each of these whose id is a text, which may be empty."""

_WORDS: Final = ("true", "false", "nan", "inf", "infinity")
"""What the reader takes for a truth or a number though it begins with a letter, in lower case."""

_CLEAR: Final = "".join(letter for letter in string.ascii_letters if letter not in "INfint")
"""What texts begin with, and no number, truth, array or object does."""


def plain_time(text: str) -> str:
    """The instant of a text that is a time in UTC without a fraction, as nearly all are; else null.

    A cast takes blanks, years before Christ and points without digits for parts of a time. A format takes blanks and
    numbers of fewer digits, for which there is no place in twenty bytes from a digit to the Z.
    """
    return (
        f"CASE WHEN strlen({text}) = 20 AND {text} >= '0' AND suffix({text}, 'Z') "
        f"THEN try_strptime({text}, '%Y-%m-%dT%H:%M:%SZ') END"
    )


def begins() -> str:
    """Whether an event begins with its version."""
    return _starts_with(_BEGINNINGS)


def id_follows() -> str:
    """Whether an event begins with its version and then has an id that is a text, which may be empty."""
    return _starts_with(map("".join, zip(_BEGINNINGS, _ID_FOLLOWS, strict=True)))


def _starts_with(beginnings: Iterable[str]) -> str:
    return f"({' OR '.join(f'starts_with(event, {literal(begin)})' for begin in beginnings)})"


def is_text(path: str, text: str) -> str:
    """Whether a text is not empty and was not written as a number, a truth, an array or an object.

    Of numbers' characters only e is a letter: a look for another letter spares most ids the pattern. Of what might be
    either, such as 40e31, true or NaN, which the reader takes for a number, the type is asked for.
    """
    # A whole number of which each bit is a character from @ on: one question instead of a dozen comparisons.
    begins_clearly = f"({_bits(_CLEAR)} >> (unicode({text}) - 64)) & 1 = 1"
    return (
        f"({begins_clearly} OR {text} <> '' AND ({_begins_with_letter(text)} AND {_is_no_word(text)} "
        f"OR {text} >= '/' AND {text} < ':' AND (contains({text}, 'a') OR contains({text}, 'b') "
        f"OR NOT regexp_full_match({text}, '[0-9][0-9.eE+-]*')) OR json_type(event, {literal(path)}) = 'VARCHAR'))"
    )


def is_clearly_text(text: str) -> bool:
    """Whether nothing but a text is ever read as ``text``."""
    return text[:1] in set(_CLEAR)


def _bits(characters: str) -> int:
    return sum(1 << ord(character) - 64 for character in characters)


def _is_no_word(text: str) -> str:
    # No IN, which becomes a join, and no NOT, under which every part is computed for every row.
    return f"(strlen({text}) > 8 OR {' AND '.join(f'lower({text}) <> {literal(w)}' for w in _WORDS)})"


def _begins_with_letter(text: str) -> str:
    return f"({text} >= 'a' AND {text} < '{{' OR {text} >= 'A' AND {text} < '[')"


def reads_alike(text: str) -> str:
    """Whether OpenMeter makes the same of a property whatever its type: 1.0 is 1, arrays and objects are nothing.

    Null says no: absent and null are different texts.
    """
    return f"({_begins_with_letter(text)} OR NOT suffix({text}, '.0') AND {_is_no_collection(text)})"


def _is_no_collection(text: str) -> str:
    return f"({text} < '[' OR {text} >= '\\' AND ({text} < '{{' OR {text} >= '|'))"

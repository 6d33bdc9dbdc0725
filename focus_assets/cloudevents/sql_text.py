"""Quoting for the one place where SQL text is assembled: values are bound, names and constants quoted."""

from __future__ import annotations


def literal(text: str) -> str:
    """``text`` as an SQL literal, for what DuckDB needs as a constant, such as JSON paths."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'

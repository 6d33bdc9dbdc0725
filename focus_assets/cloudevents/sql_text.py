"""Quoting for the one place where SQL text is assembled: event types and values are bound, names are quoted."""

from __future__ import annotations


def literal(text: str) -> str:
    """``text`` as an SQL literal, for what DuckDB needs as a constant, such as JSON paths."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'

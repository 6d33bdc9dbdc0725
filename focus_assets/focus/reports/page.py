"""A check's outcome as one self-contained page: for the person who has to talk to whoever made the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any, Final

from focus_assets.focus.reports.found import Found, what_counts
from focus_assets.focus.rules import RuleResult

_LONGEST: Final = 200
_SUBJECTS: Final = {
    "presence": "Columns that must be there",
    "types": "How columns are stored",
    "nulls": "Values that must be there, or must not",
    "values": "Values from closed lists",
    "formats": "How values are written",
    "costs": "Prices, quantities and costs",
    "periods": "Charge periods and billing periods",
    "charges": "What a charge's categories say together",
    "sku": "What ids stand for",
    "key_values": "Tags and other key-value columns",
    "units": "Units",
    "invoices": "Invoices",
    "currencies": "Currencies",
    "contracts": "Contracts",
}


def as_html(found: Found) -> str:
    """The page: verdict, what was checked, each violated rule with example rows, and every rule below.

    It loads nothing and runs nothing, so it can be mailed and kept.
    """
    style = files("focus_assets.focus.reports").joinpath("page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>FOCUS {escape(found.version)} check: {escape(found.verdict)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_head(found),
            *_violated(found),
            *_every_rule(found),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _head(found: Found) -> Iterator[str]:
    state = "bad" if found.report.blocking else "advice" if found.report.warnings else "good"
    yield "<header>"
    yield f'<p class="kicker">FOCUS {escape(found.version)} · {escape(found.dataset)}</p>'
    yield f'<h1 class="{state}">{escape(found.verdict)}</h1>'
    yield '<dl class="figures">'
    for term, figure in (
        ("rows", found.report.rows),
        ("columns", found.columns),
        ("rules violated", len(found.report.blocking)),
        ("recommendations not followed", len(found.report.warnings)),
        ("rules that hold", found.held),
        ("rules that do not apply", len(found.not_run)),
    ):
        yield f"<div><dd>{figure:,}</dd><dt>{term}</dt></div>"
    yield "</dl>"
    listed = ", ".join(escape(name) for name, _ in found.files[:5])
    more = f" and {len(found.files) - 5} more" if len(found.files) > 5 else ""
    yield f'<p class="files">{listed}{more}</p>'
    if found.detected:
        yield "<p>The version was told from the columns. Another can be named with <code>--focus-version</code>.</p>"
    yield from (f'<p class="note">{escape(note)}</p>' for note in found.notes)
    yield "</header>"


def _violated(found: Found) -> Iterator[str]:
    for heading, results in (
        ("Violated rules", found.report.blocking),
        ("Recommendations not followed", found.report.warnings),
    ):
        if not results:
            continue
        yield f"<section><h2>{heading}</h2>"
        for result in results:
            state = "bad" if result.rule.blocking else "advice"
            yield f'<article class="{state}" id="{escape(result.rule.id)}">'
            yield f"<h3>{escape(result.rule.sentence)}</h3>"
            yield (
                f'<p class="where"><strong>{what_counts(result)}</strong> · '
                f"FOCUS {escape(result.rule.section)} · <code>{escape(result.rule.id)}</code></p>"
            )
            yield from _rows(found.examples(result), result.violations)
            yield "</article>"
        yield "</section>"


def _rows(rows: Sequence[dict[str, Any]], violations: int) -> Iterator[str]:
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(f"<th>{escape(name)}</th>" for name in names)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(_cell(row.get(name)) for name in names)}</tr>"
    yield "</tbody></table></div>"
    if violations > len(rows):
        yield f'<p class="more">The first {len(rows)} of {violations:,}.</p>'


def _cell(value: Any) -> str:
    if value is None:
        return '<td class="null">null</td>'
    if value == "":
        return '<td class="null">empty text</td>'
    text = str(value)
    if len(text) > _LONGEST:
        return f'<td title="{escape(text)}">{escape(text[:_LONGEST])}…</td>'
    return f"<td>{escape(text)}</td>"


def _every_rule(found: Found) -> Iterator[str]:
    yield "<section><h2>Every rule</h2>"
    for subject, group in groupby(found.report.results, key=lambda r: r.rule.id.partition(".")[0]):
        results = list(group)
        bad = sum(1 for result in results if result.violations)
        state = f"{bad} of {len(results)} violated" if bad else f"{len(results)} rules"
        yield f"<details><summary>{escape(_SUBJECTS.get(subject, subject))} <span>{state}</span></summary>"
        yield '<table class="rules"><tbody>'
        yield from (_rule(result) for result in results)
        yield "</tbody></table></details>"
    yield "</section>"
    yield (
        "<footer>Checked with focus-assets. Rules are those of the FinOps Open Cost and Usage Specification "
        "(FOCUS), © the FinOps Foundation, CC-BY-4.0, in this project's words.</footer>"
    )


def _rule(result: RuleResult) -> str:
    if result.not_run is not None:
        state, said = "skip", f"does not apply: {escape(result.not_run)}"
    elif result.violations:
        state = "bad" if result.rule.blocking else "advice"
        said = f'<a href="#{escape(result.rule.id)}">{what_counts(result)}</a>'
    else:
        state, said = "good", "holds"
    return f'<tr class="{state}"><td>{escape(result.rule.sentence)}</td><td>{said}</td></tr>'

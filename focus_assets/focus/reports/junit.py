"""A check's outcome as JUnit XML, which build servers show: one test case per rule, one suite per subject."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as ET

from focus_assets.focus.reports.found import Found, what_counts
from focus_assets.focus.reports.json_report import outcome
from focus_assets.focus.rules import RuleResult

_UNWRITABLE: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(found: Found) -> str:
    """Violated rules are failures; recommendations that are not followed pass and say so in their output."""
    report = found.report
    suites = ET.Element(
        "testsuites",
        name=f"FOCUS {found.version} {found.dataset}",
        tests=str(len(report.results)),
        failures=str(len(report.blocking)),
        skipped=str(len(found.not_run)),
    )
    for subject, results in groupby(report.results, key=lambda result: result.rule.id.partition(".")[0]):
        _suite(suites, found, subject, list(results))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _suite(suites: ET.Element, found: Found, subject: str, results: list[RuleResult]) -> None:
    failures = sum(1 for result in results if result.violations and result.rule.blocking)
    skipped = sum(1 for result in results if result.not_run is not None)
    suite = ET.SubElement(
        suites,
        "testsuite",
        name=subject,
        tests=str(len(results)),
        failures=str(failures),
        skipped=str(skipped),
    )
    for result in results:
        case = ET.SubElement(suite, "testcase", classname=subject, name=result.rule.id)
        said = f"{result.rule.sentence} {what_counts(result)}."
        match outcome(result):
            case "violated":
                failure = ET.SubElement(case, "failure", message=_text(said))
                failure.text = _examples(found, result)
            case "not followed":
                ET.SubElement(case, "system-out").text = _text(f"{said}\n{_examples(found, result)}")
            case "not run":
                ET.SubElement(case, "skipped", message=_text(result.not_run or ""))


def _examples(found: Found, result: RuleResult) -> str:
    return _text("\n".join(str(row) for row in found.examples(result)))


def _text(said: str) -> str:
    return _UNWRITABLE.sub("\ufffd", said)

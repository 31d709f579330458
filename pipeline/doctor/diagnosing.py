"""One examination from what was asked for to exit code."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from pipeline import exit_codes
from pipeline.doctor.checks import examine
from pipeline.doctor.findings import Finding
from pipeline.doctor.report import Report, document
from pipeline.doctor.subject import Subject
from pipeline.local.output import redirected_output


def diagnose(subject: Subject, as_json: bool = False) -> int:
    """Examine, and print the findings.

    Args:
      subject: what is examined.
      as_json: print one JSON document instead of lines.

    Returns:
      The exit code: 2 if there is a problem.
    """
    with contextlib.ExitStack() as stack:
        screen, errors = sys.stdout, sys.stderr
        with contextlib.suppress(OSError):  # there is no folder for temporary files, as the check of the disk will say
            output = stack.enter_context(redirected_output())
            screen, errors = output.screen, output.errors
        try:
            findings = _print_document(subject, screen) if as_json else _print_lines(subject, screen)
        except KeyboardInterrupt:
            print("Interrupted.", file=errors)
            return exit_codes.INTERRUPTED
    return exit_codes.USAGE if any(finding.state == "problem" for finding in findings) else exit_codes.OK


def _print_lines(subject: Subject, screen: TextIO) -> list[Finding]:
    report = Report(screen)
    report.say(f"Looking at {_title(subject)}", "bold")
    findings = []
    for finding in examine(subject, report.say_doing):
        findings.append(finding)
        report.add(finding)
    report.close(findings)
    return findings


def _print_document(subject: Subject, screen: TextIO) -> list[Finding]:
    findings = [*examine(subject)]
    print(document(findings), file=screen, flush=True)
    return findings


def _title(subject: Subject) -> str:
    given = [f"{path}" for path in (subject.config, subject.runtime) if path]
    return ", ".join([f"this machine (Python in {sys.prefix})", *given])

"""What our own tests of each row come to, in one run of pytest."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from benchmarks.faults_baseline.rows import Fault
from benchmarks.faults_baseline.stack import ROOT, Verdict, hear_ctrl_c, plural


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A test, how it ended, and why if not well."""

    name: str
    ended: Literal["passed", "failed", "expected to fail", "skipped"]
    why: str = ""


def belongs(test: str, fault: Fault) -> bool:
    """Say whether a test is one of a row's.

    >>> belongs("test_f3_f4_a_signal", Fault(name="F4", what="", promise="", plain=None))
    True
    """
    rows = re.findall(r"(?<=_)f\d+(?=_)", test.partition("[")[0])
    return fault.name.lower() in rows or any(part in test for part in fault.tests)


def verdicts(faults: Sequence[Fault]) -> dict[str, Verdict]:
    """Run the tests of these rows, and return what each row came to."""
    tests = run_tests(faults)
    return {
        fault.name: verdict([test for test in tests if belongs(test.name, fault)])
        for fault in faults
    }


def verdict(tests: Sequence[Tested]) -> Verdict:
    """Sum the tests of a row up: it is kept where every test that could run has passed."""
    ran = [test for test in tests if test.ended != "skipped"]
    if not ran:
        return Verdict(kept=None, fact="no test yet" if not tests else tests[0].why)
    bad = [test for test in ran if test.ended != "passed"]
    fact = f"{plural(len(ran), 'test')}"
    if bad:
        whys = sorted({test.why for test in bad})
        fact = f"{len(ran) - len(bad)} of {fact}; not: {'; '.join(whys)}"
    return Verdict(kept=not bad, fact=fact)


def run_tests(faults: Sequence[Fault]) -> list[Tested]:
    """Run every test that one of the rows could mean."""
    words = {f"_{fault.name.lower()}_" for fault in faults}
    words |= {part.partition("[")[0] for fault in faults for part in fault.tests}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = ["-q", "-k", " or ".join(sorted(words)), f"--junitxml={report}", "tests"]
        subprocess.run(
            [sys.executable, "-m", "pytest", *command],
            cwd=ROOT,
            check=False,
            stdout=sys.stderr,
            preexec_fn=hear_ctrl_c,
        )
        return read_report(report)


def read_report(report: Path) -> list[Tested]:
    """Read what pytest says of every test."""
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"]
        skipped = case.find("skipped")
        broken = case.find("failure") if case.find("failure") is not None else case.find("error")
        if broken is not None:
            found.append(Tested(name=name, ended="failed", why=f"{name} failed"))
        elif skipped is None:
            found.append(Tested(name=name, ended="passed"))
        else:
            expected = skipped.attrib["type"] == "pytest.xfail"
            why = skipped.attrib.get("message", "")
            ended: Literal["expected to fail", "skipped"] = (
                "expected to fail" if expected else "skipped"
            )
            found.append(Tested(name=name, ended=ended, why=why))
    return found

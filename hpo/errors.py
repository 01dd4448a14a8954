"""The tree of errors: which stop a trial, which stop a study, and the exit code of each.

HpoError                    1   where: what is wrong; what would be right
├── UsageError              2   the user's mistake: nothing was created
│   ├── SpecError           2   every mistake of a study file at once
│   ├── DataError           2
│   └── PluginError         2
├── TrialFailed             3   recorded with its reason; the study goes on
├── StudyError              3   the study cannot go on
├── RefusedError            4   a check said no
└── EnvironmentFault        5   a missing extra, a locked storage, another supervisor
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_modules.errors import DataError, HpoError, PluginError, TrialFailed, UsageError

__all__ = [
    "DataError",
    "EnvironmentFault",
    "HpoError",
    "PluginError",
    "Problem",
    "RefusedError",
    "SpecError",
    "StudyError",
    "TrialFailed",
    "UsageError",
]


@dataclass(frozen=True)
class Problem:
    """One mistake: where (file, line and dotted path), what is wrong, what would be right."""

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f"; {self.hint}" if self.hint else "")


class SpecError(UsageError):
    """A study file with mistakes; the message has one line for each of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        first = self.problems[0]
        super().__init__(first.where, first.what, first.hint)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class StudyError(HpoError):
    """A study that ended without a usable trial, or cannot go on."""

    exit_code = 3


class RefusedError(HpoError):
    """A check said no: another space, data, objective or seed than the study was made with."""

    exit_code = 4


class EnvironmentFault(HpoError):  # noqa: N818  (EnvironmentError is Python's own)
    """Something around us: a missing extra, a locked storage, another supervisor."""

    exit_code = 5

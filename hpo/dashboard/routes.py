"""Our own addresses: the index, a study, a trial, its report, several compared."""

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from hpo.dashboard import pages
from hpo.dashboard.artifacts import PICTURES
from hpo.dashboard.guard import Environ
from hpo.dashboard.notes import what_of
from hpo.dashboard.pages import PER_PAGE, Links, Shown, TrialRow
from hpo.dashboard.policies import FILES, OURS, report_policy
from hpo.dashboard.summaries import Summaries, Summary
from hpo.errors import HpoError
from hpo.layout import StudyFolder
from hpo.listing import find_trial, flat
from hpo.records import read_curve
from hpo.tracking.links import of_runs
from hpo.words import trial_words

Answer = tuple[str, str, str, bytes]
"""Status, type, policy, body."""
HTML = "text/html; charset=utf-8"
FIRST, COMPARE = "hpo run quickstart", "hpo compare A B"
HERE = Path(__file__).parent


class Routes:
    """Answers ``/`` and what is below ``/hpo/``.

    Args:
        summaries: of the studies.
        study_ids: the ids of studies in Optuna's storage, by name.
        tensorboard: whether it is served.
    """

    def __init__(
        self,
        summaries: Summaries,
        *,
        study_ids: Callable[[], dict[str, int]],
        tensorboard: bool,
    ) -> None:
        self._summaries = summaries
        self._study_ids = study_ids
        self._tensorboard = tensorboard
        self._reports: dict[str, tuple[object, str]] = {}

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        query = parse_qs(environ.get("QUERY_STRING", ""))
        try:
            status, kind, policy, body = self._answer(environ["PATH_INFO"], query)
        except HpoError as error:
            status, kind, policy, body = self._message("500 Internal Server Error", str(error))
        headers = [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", policy),
            ("Cache-Control", "no-cache"),
        ]
        start_response(status, headers)
        return [body]

    def _answer(self, path: str, query: dict[str, list[str]]) -> Answer:
        match path.strip("/").split("/"):
            case [""]:
                return self._index(query)
            case ["hpo", "style.css"]:
                return "200 OK", "text/css", OURS, (HERE / "style.css").read_bytes()
            case ["hpo", "icon.svg"]:
                return "200 OK", "image/svg+xml", FILES, (HERE / "icon.svg").read_bytes()
            case ["hpo", "compare"]:
                return self._compare(query.get("study", []))
            case ["hpo", "study", name] if summary := self._summaries.find(name):
                return self._study(summary, query)
            case ["hpo", "report", name] if summary := self._summaries.find(name):
                return self._report(summary.folder)
            case ["hpo", "trial", name, number] if summary := self._summaries.find(name):
                return self._trial(summary, number)
            case ["hpo", "trial", name, number, file] if summary := self._summaries.find(name):
                return self._picture(summary, number, file)
        return self._message("404 Not Found", "There is nothing here.")

    def _index(self, query: dict[str, list[str]]) -> Answer:
        found = self._summaries.all()
        if not found:
            lines = [f"There is no study in {self._summaries.results} yet. One minute makes one:"]
            return self._message("200 OK", *lines, heading="No study yet", command=FIRST)
        archived, tag = "archived" in query, query.get("tag", [""])[0]
        wanted = [
            one
            for one in found
            if (archived or not one.about.archived) and (not tag or tag in one.about.tags)
        ]
        ids = self._study_ids()
        page = self._page(
            "index.html",
            shown=[Shown(summary=one, links=self._links(one, ids)) for one in wanted],
            n_all=len(found),
            n_running=sum(one.running for one in found),
            n_archived=sum(one.about.archived for one in found),
            archived=archived,
            tag=tag,
            place=f"{self._summaries.results}/",
        )
        return "200 OK", HTML, OURS, page

    def _study(self, summary: Summary, query: dict[str, list[str]]) -> Answer:
        n_pages = max(-(-len(summary.rows) // PER_PAGE), 1)
        asked = query.get("page", ["1"])[0]
        at = min(max(int(asked), 1), n_pages) if asked.isascii() and asked.isdecimal() else 1
        ids = self._study_ids()
        trials = [
            TrialRow(row=row, words=what_of(summary, row), curve=_curve(summary, row.number))
            for row in summary.rows[(at - 1) * PER_PAGE : at * PER_PAGE]
        ]
        values = {"summary": summary, "links": self._links(summary, ids), "trials": trials}
        page = self._page("study.html", **values, n_pages=n_pages, at=at)
        return "200 OK", HTML, OURS, page

    def _trial(self, summary: Summary, number: str) -> Answer:
        trial = _trial_of(summary, number)
        if trial is None:
            return self._message("404 Not Found", f"{summary.name} has no such trial that ended.")
        record = find_trial(summary.folder, trial)
        place, study_id = summary.folder.trial(trial), self._study_ids().get(summary.name)
        link = f"/dashboard/studies/{study_id}/trials?numbers={trial}"
        page = self._page(
            "trial.html",
            summary=summary,
            record=record,
            words=trial_words(record),
            facts=pages.of_trial(record),
            config=sorted(flat(record.config).items()),
            curve=_curve(summary, trial),
            pictures=[name for name in PICTURES if (place / name).is_file()],
            optuna=None if study_id is None else link,
        )
        return "200 OK", HTML, OURS, page

    def _picture(self, summary: Summary, number: str, name: str) -> Answer:
        trial = _trial_of(summary, number)
        if trial is not None and name in PICTURES:
            try:
                body = (summary.folder.trial(trial) / name).read_bytes()
            except OSError:
                pass
            else:
                return "200 OK", PICTURES[name], FILES, body
        return self._message("404 Not Found", "There is no such picture.")

    def _report(self, folder: StudyFolder) -> Answer:
        render = _function("hpo.report", "render")
        if render is None:
            return self._message("404 Not Found", "Reports are not part of this version.")
        page = self._kept(f"report {folder.name}", [folder], lambda: render(folder))
        return "200 OK", HTML, report_policy(page), page.encode()

    def _compare(self, names: Sequence[str]) -> Answer:
        asked = list(dict.fromkeys(names))
        found = [summary.folder for name in asked if (summary := self._summaries.find(name))]
        if len(found) < len(asked):
            return self._message("404 Not Found", "One of these studies is not here.")
        if len(found) < 2:
            text = "Tick two studies or more on the first page, then compare them."
            return self._message("200 OK", text, heading="Compare studies", command=COMPARE)
        render = _function("hpo.compare", "page")
        if render is None:
            return self._message("404 Not Found", "Comparing is not part of this version.")
        page = self._kept("compare " + " ".join(asked), found, lambda: render(found))
        return "200 OK", HTML, report_policy(page), page.encode()

    def _kept(self, key: str, folders: Sequence[StudyFolder], make: Callable[[], str]) -> str:
        """Return a page that takes a while to make; it is made again when a study has changed."""
        stamp = [self._summaries.stamp(folder) for folder in folders]
        known = self._reports.get(key)
        if known is None or known[0] != stamp:
            self._reports = {key: (stamp, make())}  # one is enough: a page has 5 MB
        return self._reports[key][1]

    def _links(self, summary: Summary, ids: dict[str, int]) -> Links:
        name, study_id = summary.name, ids.get(summary.name)
        board = self._tensorboard and summary.folder.tensorboard.is_dir()
        return Links(
            study=f"/hpo/study/{name}",
            report=f"/hpo/report/{name}",
            optuna=None if study_id is None else f"/dashboard/studies/{study_id}",
            tensorboard=f"/tb/study/{name}/{_best_runs(summary)}#timeseries" if board else None,
        )

    def _page(self, template: str, **values: Any) -> bytes:
        return pages.render(template, tensorboard=self._tensorboard, **values).encode()

    def _message(
        self, status: str, *lines: str, heading: str | None = None, command: str = ""
    ) -> Answer:
        heading = heading or status.partition(" ")[2]
        page = self._page("message.html", heading=heading, lines=lines, command=command)
        return status, HTML, OURS, page


def _best_runs(summary: Summary) -> str:
    """Return the query that shows ten trials, where there are more than a browser likes."""
    best = [row.number for row in summary.rows if row.rank is not None]
    return of_runs(best if len(summary.rows) > 30 else [])


def _trial_of(summary: Summary, number: str) -> int | None:
    """Return the number of a trial of a study, None if there is none."""
    known = {str(row.number): row.number for row in summary.rows}
    return known.get(number)


def _curve(summary: Summary, number: int) -> list[float]:
    try:
        return list(read_curve(summary.folder.trial(number)).values())
    except (OSError, ValueError, KeyError):
        return []


def _function(module: str, name: str) -> Callable[[Any], str] | None:
    """Return what makes a page; None where that room is not there."""
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        return None
    return found if callable(found) else None

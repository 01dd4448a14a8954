"""StudyFolder: every path under results/, made from study names that were checked."""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hpo.errors import EnvironmentFault, UsageError
from hpo.room import patiently
from lightning_modules.registry import suggest

DEFAULT_RESULTS = "results"
LOCK = "lock"
PATIENCE_S = 1.0
"""How long a lock may be held before it is taken for another supervisor's: who looks at it holds it
for an instant."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that runs a study."""

    host: str
    pid: int
    token: str
    """Another one each time: a process may have the number of one that is gone."""


@dataclass(frozen=True)
class StudyFolder:
    """The folder of one study; it alone knows the names of the files in it."""

    path: Path

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.name

    @property
    def study_file(self) -> Path:
        """The study file, resolved, as the study was made with it."""
        return self.path / "study.yaml"

    @property
    def fingerprint(self) -> Path:
        """Hashes of space, data and plugins at creation."""
        return self.path / "fingerprint.json"

    @property
    def environment(self) -> Path:
        """The installed packages at creation."""
        return self.path / "environment.txt"

    @property
    def log(self) -> Path:
        """What the libraries said."""
        return self.path / "log.txt"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files, one folder a trial."""
        return self.path / "tb"

    @property
    def about(self) -> Path:
        """What people say of the study: tags, a note, whether it is archived."""
        return self.path / "about.json"

    @property
    def leaderboard(self) -> Path:
        """All trials, best first."""
        return self.path / "leaderboard.csv"

    @property
    def best_config(self) -> Path:
        """The best config so far."""
        return self.path / "best_config.json"

    @property
    def evaluation(self) -> Path:
        """What evaluations measured."""
        return self.path / "evaluation"

    def evaluated(self, split: str) -> Path:
        """What the last evaluation on a split found; of the test split, every opening too."""
        return self.evaluation / f"{split}.json"

    @property
    def seeds(self) -> Path:
        """What the best configs and the default came to on fresh seeds."""
        return self.evaluation / "seeds.json"

    @property
    def ensemble(self) -> Path:
        """What `hpo ensemble` made of the best trials, and their predictions."""
        return self.path / "ensemble"

    @property
    def combined(self) -> Path:
        """The record of the ensemble; a model to predict with."""
        return self.ensemble / "ensemble.json"

    @property
    def report(self) -> Path:
        """What `hpo report` made of the study."""
        return self.path / "report.html"

    @property
    def cache(self) -> Path:
        """Prepared data, mapped into memory by every child; safe to delete between calls."""
        return self.path / "cache"

    @property
    def progress(self) -> Path:
        """Seconds of wall-clock time that all calls have used, and how many trials have ended."""
        return self.path / "progress.json"

    @property
    def profile(self) -> Path:
        """Where the time of the last call of `hpo run --profile` went."""
        return self.path / "profile.json"

    @property
    def probe(self) -> Path:
        """What was measured before the first trial, and chosen for all of them."""
        return self.path / "probe.json"

    @property
    def requests(self) -> Path:
        """What other processes ask of the study while it runs."""
        return self.path / "requests"

    def trial(self, number: int) -> Path:
        """The folder of a trial."""
        return self.path / "trials" / f"{number:04d}"

    def proposal(self, number: int) -> Path:
        """What a trial that has not ended was begun with."""
        return self.trial(number) / "proposal.json"

    def trial_folders(self) -> list[Path]:
        """Return the folders of all trials, by number."""
        folder = self.path / "trials"
        found = [path for path in folder.glob("[0-9]*") if path.name.isdigit() and path.is_dir()]
        return sorted(found, key=lambda path: int(path.name))

    def refuse_place(self) -> None:
        """Check that the folder can be made; make nothing.

        Raises:
            EnvironmentFault: if something above it is no folder, or cannot be written.
        """
        above = next(place for place in self.path.absolute().parents if place.exists())
        if not above.is_dir():
            raise EnvironmentFault(str(above), "is no folder", "name another with --results")
        if not os.access(above, os.W_OK | os.X_OK):
            raise EnvironmentFault(str(above), "cannot be written", "name another with --results")

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Make the folder if there is none, and own it: one supervisor at a time.

        Raises:
            EnvironmentFault: if another process owns it, which is named; if it cannot be written,
                or the disk stays full.
        """
        owner = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / LOCK).open("a+")
        except OSError as error:
            hint = "name another with --results"
            raise EnvironmentFault(str(self.path), str(error.strerror), hint) from None
        with lock as stream:
            if not _locked(stream):
                stream.seek(0)
                hint = f"wait for it, or hpo stop {self.name}"
                raise EnvironmentFault(str(self.path), f"is run by {_shown(stream.read())}", hint)
            patiently(lambda: _write(stream, owner), str(self.path / LOCK))
            try:
                yield
            finally:
                stream.truncate(0)

    def owner(self) -> Owner | None:
        """Return who runs the study, None if nobody does: one that was killed holds no lock.

        Raises:
            EnvironmentFault: if the lock cannot be read.
        """
        try:
            with (self.path / LOCK).open(encoding="utf-8") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return _owner(lock.read())
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            hint = "ask as the user who runs the study"
            raise EnvironmentFault(str(self.path / LOCK), str(error.strerror), hint) from None
        return None


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold a folder for an instant: who reads, changes and writes a file in it does so alone.

    Raises:
        EnvironmentFault: if the folder is gone, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise EnvironmentFault(str(path), str(error.strerror), "check the folder") from None
    try:
        with suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _locked(stream: IO[str]) -> bool:
    """Take a lock; return False if another process has it, and does not let go of it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _write(lock: IO[str], owner: Mapping[str, Any]) -> None:
    """Write an owner past the buffer, which a full disk would leave to be written at the end."""
    os.truncate(lock.fileno(), 0)
    os.write(lock.fileno(), json.dumps(owner).encode())


def _owner(text: str) -> Owner:
    """Return the owner that a lock names; its writer may be on its way yet."""
    try:
        said = json.loads(text)
    except json.JSONDecodeError:
        said = {}
    return Owner(host=said.get("host", ""), pid=said.get("pid", 0), token=said.get("token", ""))


def _shown(text: str) -> str:
    owner = _owner(text)
    return json.dumps({"host": owner.host, "pid": owner.pid}) if owner.pid else "another process"


def find_studies(results: Path) -> list[StudyFolder]:
    """Return the studies under ``results``, by name.

    Raises:
        UsageError: if ``results`` is a file.
    """
    if results.is_file():
        raise UsageError(str(results), "is a file", "name a folder of studies with --results")
    files = sorted(results.glob("[!.]*/study.yaml"))  # a name with a dot is half-made or half-gone
    return [StudyFolder(file.parent) for file in files]


def find_study(name: str, results: Path) -> StudyFolder:
    """Return the study of that name; a path to its folder does as well.

    Raises:
        UsageError: if there is none, or the name is empty; the nearest name is suggested.
    """
    known = {folder.name: folder for folder in find_studies(results)}
    if name in known:
        return known[name]
    if not name.strip():
        hint = suggest("", list(known)) if known else "hpo run quickstart makes one"
        raise UsageError("STUDY", "the name is empty", hint)
    path = Path(name)
    if os.path.isfile(path / "study.yaml"):  # False for what is too long for a path, too
        return StudyFolder(path)
    hint = suggest(name, list(known)) if known else "hpo run quickstart makes one"
    shown = name if len(name) <= 80 else f"{name[:79]}…"
    raise UsageError("", f"no study {shown!r} in {results}/", hint)

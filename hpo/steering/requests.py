"""Requests: what other processes ask of a study, one JSON file each in its folder."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from hpo.errors import EnvironmentFault, UsageError
from hpo.files import write_json
from hpo.grammar.nodes import Scalar
from hpo.layout import StudyFolder
from hpo.records import now_utc
from hpo.search import Duration, seconds
from lightning_modules.settings import Settings

SCHEMA = "hpo.request/1"
LARGEST_BYTES = 100_000


class Stop(Settings):
    """Let the study stop as Ctrl-C does."""

    kind: Literal["stop"] = "stop"


class EndTrial(Settings):
    """Let a trial end at its next validation, with what it has."""

    kind: Literal["end_trial"] = "end_trial"
    trial: int = Field(ge=0)


class SetBudget(Settings):
    """Change limits of the total budget; None leaves one as it is."""

    kind: Literal["budget"] = "budget"
    trials: int | None = Field(None, ge=1)
    epochs: int | None = Field(None, ge=1)
    time: Duration | None = None

    @property
    def given(self) -> dict[str, int | str]:
        """The limits that change."""
        found = self.model_dump(exclude={"kind"})
        return {name: value for name, value in found.items() if value is not None}

    def below(self, *, trials: int, epochs: float, time_s: float) -> str | None:
        """Return what is wrong if a limit is below what the study has used; None if none is.

        Args:
            trials: that ended or run.
            epochs: of the trials that ended.
            time_s: wall-clock time over all calls, seconds.
        """
        if self.trials is not None and self.trials < trials:
            return f"{trials} trials have ended or run; give {trials} or more"
        if self.epochs is not None and self.epochs < epochs:
            return f"{epochs:g} epochs are used; give more"
        if self.time is not None and seconds(self.time) < time_s:
            return f"{time_s:.0f}s are used; give more"
        return None


class Enqueue(Settings):
    """Let the next trial have these values; the sampler draws the others."""

    kind: Literal["enqueue"] = "enqueue"
    params: dict[str, Scalar] = Field(min_length=1)


Ask = Stop | EndTrial | SetBudget | Enqueue


class Request(Settings):
    """The content of a request's file."""

    schema_name: Literal["hpo.request/1"] = Field(alias="schema")
    asked_utc: str
    to: str | None
    """The token of the supervisor that is asked; None asks whichever comes."""
    ask: Annotated[Ask, Field(discriminator="kind")]


def send(folder: StudyFolder, ask: Ask, *, to: str | None) -> Path:
    """Put a request into the study's folder, whole or not at all; return its file.

    Raises:
        EnvironmentFault: if the folder cannot be written.
    """
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.json"
    content = {"schema": SCHEMA, "asked_utc": now_utc(), "to": to, "ask": ask.model_dump()}
    try:
        folder.requests.mkdir(exist_ok=True)
        write_json(folder.requests / name, content)
    except OSError as error:
        hint = "ask as the user who runs the study"
        raise EnvironmentFault(str(folder.requests), str(error.strerror), hint) from None
    return folder.requests / name


def run_options(given: Mapping[str, int | str]) -> str:
    """Return the options of `hpo run` that set limits of the budget, a blank before each.

    >>> run_options({"trials": 30, "epochs": 99})
    ' --trials 30 --set budget.epochs=99'
    """
    words = {"trials": " --trials {}", "time": " --time {}", "epochs": " --set budget.epochs={}"}
    return "".join(words[name].format(value) for name, value in given.items())


def request_files(folder: StudyFolder) -> list[Path]:
    """Return the files of the requests that wait, oldest first."""
    return sorted(path for path in folder.requests.glob("[!.]*.json") if _is_file(path))


def read_request(path: Path) -> Request:
    """Read a request.

    Raises:
        UsageError: if the file is gone, or is no request.
    """
    try:
        with path.open("rb") as stream:
            return Request.model_validate(_strict(stream.read(LARGEST_BYTES)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"is no request ({where}: {first['msg']})"
    except (ValueError, RecursionError):
        what = "is no request: no JSON"
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    raise UsageError(f"requests/{path.name}", what, "hpo stop, enqueue and budget write them")


def waiting_requests(folder: StudyFolder) -> Mapping[str, Request]:
    """Return the requests that wait, by their names, oldest first; what is none is left out."""
    found: dict[str, Request] = {}
    for path in request_files(folder):
        try:
            found[path.stem] = read_request(path)
        except UsageError:
            continue
    return found


def _strict(data: bytes) -> object:
    def refuse(word: str) -> object:
        raise ValueError(word)

    return json.loads(data, parse_constant=refuse)


def _is_file(path: Path) -> bool:
    try:
        return S_ISREG(path.lstat().st_mode)
    except OSError:
        return False

"""What a worker serves: the model of now, and the way of a request through it."""

import asyncio
from dataclasses import dataclass

import numpy as np

from hpo.predict.predictor import Floats
from hpo.serve.answering import CSV, JSON, as_csv, as_json
from hpo.serve.batcher import Batcher
from hpo.serve.body import read_body, told_length
from hpo.serve.exposition import Exposition
from hpo.serve.front import Answer, Request
from hpo.serve.log import Log
from hpo.serve.model import Model
from hpo.serve.options import Limits, Options
from hpo.serve.reading import Reading
from hpo.serve.refusal import Refused
from hpo.serve.tally import Part, Tally
from hpo.serve.watching import Watching

_BODIES = 8
"""Of the largest bodies, how many are in memory at a time."""
_COUNT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Current:
    """The model of now, and what belongs to it."""

    model: Model
    reading: Reading
    watching: Watching


class Service:
    """Answers ``POST /predict`` with whatever model is served at that moment.

    Args:
        options: of the server.
        tally: of all workers.
        part: of this worker.
        log: what is written.
    """

    def __init__(self, options: Options, tally: Tally, part: Part, log: Log) -> None:
        self.options, self.part, self.log = options, part, log
        self.exposition = Exposition(tally)
        self.is_ending = False
        self._current: Current | None = None
        self._batcher = Batcher(options.limits, part)
        self._reserved = 0
        part.begin()

    @property
    def limits(self) -> Limits:
        """What a request may cost."""
        return self.options.limits

    @property
    def current(self) -> Current:
        """The model of now.

        Raises:
            Refused: if there is none yet.
        """
        if self._current is None:
            raise Refused(503, "busy", where="server", what="no model is loaded yet")
        return self._current

    @property
    def is_ready(self) -> bool:
        """Whether requests are answered."""
        return self._current is not None and not self.is_ending

    def serve(self, model: Model) -> None:
        """Answer with this model from now on; what is under way ends with the one before."""
        manifest = model.manifest
        reading = Reading(manifest, most_rows=self.limits.rows)
        watching = Watching(manifest, self.part)
        self.part.serves(model.sha256)
        self.exposition.serves(manifest, model.sha256)
        self._current = Current(model=model, reading=reading, watching=watching)

    async def watch_rows(self) -> None:
        """Count recent rows once a second, for drift."""
        while True:
            await asyncio.sleep(_COUNT_S)
            current = self._current
            while current is not None and current is self._current:
                if not current.watching.count_on():
                    break
                await asyncio.sleep(0)

    def close(self) -> None:
        """End what runs beside requests."""
        self._batcher.close()
        self.part.begin()

    async def predict(self, request: Request) -> Answer:
        """Return the answer to a request for predictions.

        Raises:
            Refused: if there are no rows for the model in it, or it takes too long.
            GoneError: if whoever asked has gone.
        """
        is_read = False
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                answers_csv = _wants_csv(request.headers.get(b"accept", b""))
                body = await self._body(request)
                is_read = True
                return await self._answer(request, body, answers_csv=answers_csv)
        except TimeoutError:
            seconds = f"{self.limits.timeout_s:g} s"
            if is_read:
                hint = "send fewer rows in one request, or raise --timeout"
                what = f"the model had no time for it within {seconds}"
                raise Refused(504, "timeout", where="server", what=what, hint=hint) from None
            what = f"did not arrive within {seconds}"
            error = Refused(408, "timeout", where="body", what=what, hint="send it faster")
            raise error.with_headers((b"connection", b"close")) from None

    async def _answer(self, request: Request, body: bytes, *, answers_csv: bool) -> Answer:
        current = self.current
        content_type, charset = _content_type(request.headers.get(b"content-type", b""))
        feeds = current.reading.feeds(body, content_type, charset)
        del body
        outputs = await self._batcher.run(current.model, feeds)
        if not np.isfinite(outputs).all():
            raise _no_answer(outputs)
        request.rows = len(outputs)
        current.watching.saw(feeds, outputs)
        manifest = current.model.manifest
        if answers_csv:
            sha256 = (b"x-model", current.model.sha256.encode())
            return Answer(content_type=CSV, body=as_csv(manifest, outputs), headers=(sha256,))
        return Answer(content_type=JSON, body=as_json(manifest, current.model.sha256, outputs))

    async def _body(self, request: Request) -> bytes:
        """Return the body; of many large ones at a time some are sent away."""
        most = self.limits.body_bytes
        is_packed = b"content-encoding" in request.headers
        length = None if is_packed else told_length(request.headers)
        size = most if length is None else min(length, most)
        if self._reserved and self._reserved + size > _BODIES * most:
            what = "too many large bodies at a time"
            retry = (b"retry-after", b"1")
            error = Refused(503, "busy", where="server", what=what, hint="try again in a second")
            raise error.with_headers(retry, (b"connection", b"close"))
        self._reserved += size
        try:
            return await read_body(request.receive, request.headers, most=most)
        finally:
            self._reserved -= size


def _no_answer(outputs: Floats) -> Refused:
    """Return the refusal of rows that a model makes no numbers of: NaN would count as an answer."""
    row = int((~np.isfinite(outputs)).reshape(len(outputs), -1).any(axis=1).argmax())
    what = "the model makes no number of it: a value is too far from all that training saw"
    return Refused(422, "values", where=f"rows[{row}]", what=what, hint="correct it")


def _content_type(header: bytes) -> tuple[str, str]:
    """Return the type and the charset of a body.

    >>> _content_type(b'Text/CSV; charset="GB18030"')
    ('text/csv', 'gb18030')
    """
    name, *parameters = header.decode("latin-1").lower().split(";")
    pairs = dict(one.strip().partition("=")[::2] for one in parameters)
    return name.strip(), pairs.get("charset", "").strip('"')


def _wants_csv(accept: bytes) -> bool:
    """Say whether an answer is to be CSV.

    Raises:
        Refused: if no form that there is will do.
    """
    if not accept or accept == b"*/*":
        return False
    names = [part.partition(b";")[0].strip().lower() for part in accept.split(b",")]
    for name in names:
        if name in (b"application/json", b"application/*", b"*/*"):
            return False
        if name in (b"text/csv", b"text/*"):
            return True
    what = f"takes {accept.decode('latin-1')[:100]} only"
    raise Refused(406, "accept", where="accept", what=what, hint="application/json or text/csv")

"""A new model file in the place of the old one: loaded beside it, checked, and then served."""

import asyncio
import os
from pathlib import Path

from hpo.errors import HpoError, RefusedError
from hpo.serve.log import Log
from hpo.serve.model import Model, different, load_model
from hpo.serve.service import Service

_LOOK_S = 0.5
Signature = tuple[int, int, int]


class Reloading:
    """Watches the model file, and serves what replaces it; a file that will not do changes nothing.

    Args:
        service: what serves.
        path: the file.
        threads: of one call of the model.
        seen: the signature of the file that is served.
    """

    def __init__(
        self, service: Service, path: Path, *, threads: int, seen: "Signature | None"
    ) -> None:
        self._service, self._path, self._threads = service, path, threads
        self._seen = seen
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Look at once, and load the file even if it looks as before."""
        self._asked.set()

    async def watch(self) -> None:
        """Look at the file twice a second, until this task is cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), _LOOK_S)
                self._asked.clear()
                is_asked = True
            except TimeoutError:
                is_asked = False
            found = signature(self._path)
            if is_asked or (found is not None and found != self._seen):
                self._seen = found
                await self._reload(is_asked=is_asked)

    async def _reload(self, *, is_asked: bool) -> None:
        service, log = self._service, self._service.log
        before = service.current.model
        try:
            model = await asyncio.to_thread(self._loaded, before)
        except Exception as error:  # noqa: BLE001  (whatever it is, the old model goes on)
            service.part.reloaded(taken=False)
            why = str(error) if isinstance(error, HpoError) else type(error).__name__
            log.event("reload refused", error=why, still=before.sha256)
            return
        if model is None:
            if is_asked:
                log.event("reload", model=before.sha256, note="the file is the one that is served")
            return
        service.serve(model)
        service.part.reloaded(taken=True)
        tell_model(log, "reload", model)

    def _loaded(self, before: Model) -> Model | None:
        """Return the model in the file, None if it is the one that is served.

        Raises:
            HpoError: if it will not do.
        """
        model = load_model(self._path, threads=self._threads)
        if model.sha256 == before.sha256:
            return None
        why = different(before.manifest, model.manifest)
        if why is not None:
            hint = "serve it by a server of its own"
            raise RefusedError(str(self._path), f"is a model of another task: {why}", hint)
        return model


def signature(path: Path) -> Signature | None:
    """Return what changes with a file, None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def tell_model(log: Log, event: str, model: Model) -> None:
    """Log which model is served from now on."""
    manifest = model.manifest
    log.event(event, model=model.sha256, name=manifest.name, kind=manifest.kind)

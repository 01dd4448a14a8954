"""What the candidates predict of the validation rows: computed once, and kept."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from hpo.ensemble.arrangement import Arrangement, Predictions, Together
from hpo.ensemble.grouping import arrange
from hpo.ensemble.members import Candidate, Chosen, Network
from hpo.errors import RefusedError, UsageError
from hpo.files import make_folder, write_json
from hpo.layout import StudyFolder
from hpo.logs import log_to
from hpo.records import hash_changes, read_record
from hpo.ship.combined import Floats
from lightning_modules.build import RunData, open_data
from lightning_modules.config import RunConfig
from lightning_modules.data.cache import without_augment
from lightning_modules.data.frames import Array
from lightning_modules.durable import renamed
from lightning_modules.restore import score
from lightning_modules.settings import Settings


class KeptRows(Settings):
    """``predictions/rows.json``: which rows the arrays beside it are of."""

    schema_name: Literal["hpo.predictions/1"] = Field("hpo.predictions/1", alias="schema")
    data_sha256: str | None
    split_sha256: str | None
    n_rows: int
    fold_rows: list[int]
    """Rows of each fold, one after the other; of no folds one number."""
    kept_together: Together
    gap: int


class Store:
    """The folder of predictions of a study: one array for each network, by its checkpoint.

    Args:
        folder: of the study.
        first: the best candidate, whose rows are those of all.
    """

    def __init__(self, folder: StudyFolder, first: Candidate) -> None:
        self._path = folder.ensemble / "predictions"
        self._first = first.networks[0].data

    def rows(self) -> tuple[KeptRows, Array, Arrangement] | None:
        """Return what is kept of the rows; None if nothing is, or it is of other rows."""
        try:
            kept = read_record(self._path / "rows.json", KeptRows)
            targets, units = (self._array(name) for name in ("targets", "units"))
        except (UsageError, OSError, ValueError, EOFError):
            return None
        same = (kept.data_sha256, kept.split_sha256) == self._hashes()
        if not same or len(targets) != kept.n_rows or units.shape != (kept.n_rows,):
            return None
        together = Arrangement(units=units, kept_together=kept.kept_together, gap=kept.gap)
        return kept, targets, together

    def keep_rows(
        self, targets: Array, arrangement: Arrangement, fold_rows: Sequence[int]
    ) -> KeptRows:
        """Keep what was right, and which rows belong together."""
        data_sha256, split_sha256 = self._hashes()
        kept = KeptRows(
            schema="hpo.predictions/1",
            data_sha256=data_sha256,
            split_sha256=split_sha256,
            n_rows=len(targets),
            fold_rows=list(fold_rows),
            kept_together=arrangement.kept_together,
            gap=arrangement.gap,
        )
        make_folder(self._path)
        self._save("targets", targets)
        self._save("units", arrangement.units)
        write_json(self._path / "rows.json", kept.model_dump(mode="json", by_alias=True))
        return kept

    def outputs(self, network: Network, n_rows: int) -> Floats | None:
        """Return what is kept of a network's outputs; None if nothing sound is."""
        try:
            found = self._array(network.sha256)
        except (OSError, ValueError, EOFError):
            return None
        return found if len(found) == n_rows and found.dtype == np.float32 else None

    def keep_outputs(self, network: Network, outputs: Floats) -> None:
        """Keep a network's outputs."""
        make_folder(self._path)
        self._save(network.sha256, outputs)

    def _hashes(self) -> tuple[str | None, str | None]:
        return self._first.sha256, self._first.split_sha256

    def _array(self, name: str) -> Array:
        return np.asarray(np.load(self._path / f"{name}.npy", allow_pickle=False))

    def _save(self, name: str, array: Array) -> None:
        with renamed(self._path / f"{name}.npy", sync=False) as temporary:
            with temporary.open("wb") as stream:
                np.save(stream, array, allow_pickle=False)


def predictions_of(folder: StudyFolder, chosen: Chosen) -> Predictions:
    """Return what the candidates predict; what is not kept yet is computed, and kept.

    Raises:
        RefusedError: if data or split are not those that were recorded.
        UsageError: if a checkpoint does not fit its config.
    """
    store = Store(folder, chosen.candidates[0])
    kept = store.rows()
    opened = _Opened(folder)
    with log_to(folder.log):
        if kept is None:
            targets, arrangement, fold_rows = _rows(opened, store, chosen.candidates[0])
            kept = (store.keep_rows(targets, arrangement, fold_rows), targets, arrangement)
        about, targets, arrangement = kept
        parts = []
        for candidate in _alike(chosen.candidates):
            each = [
                _outputs(opened, store, network, n_rows)
                for network, n_rows in zip(candidate.networks, about.fold_rows, strict=True)
            ]
            parts.append((candidate.record.number, np.concatenate(each)))
    found = dict(parts)
    stacked = np.stack([found[candidate.record.number] for candidate in chosen.candidates])
    return Predictions(parts=stacked, targets=targets, arrangement=arrangement)


def _alike(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates so that those of one preparation follow each other."""
    return sorted(candidates, key=lambda one: _key(one.config))


def _key(config: RunConfig) -> str:
    plain = config.plain()
    return json.dumps([without_augment(plain["data"]), plain.get("task")], sort_keys=True)


class _Opened:
    """The data of one preparation at a time."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._last: tuple[str, RunData] | None = None

    def of(self, network: Network) -> RunData:
        """Return the data that a network was trained on.

        Raises:
            RefusedError: if they are others by now.
        """
        key = _key(network.config)
        if self._last is None or self._last[0] != key:
            data = open_data(network.config)
            refuse_other_data(self._folder, network, data)
            self._last = (key, data)
        return self._last[1]


def refuse_other_data(folder: StudyFolder, network: Network, data: RunData) -> None:
    """Check that data are those that a network was trained on.

    Raises:
        RefusedError: if they are not: rows of one split would count as another's.
    """
    stored = {"data_sha256": network.data.sha256, "split_sha256": network.data.split_sha256}
    changed = hash_changes(stored, data.hashes)
    if changed:
        what = "these are not the data that the study was made on:\n  " + "\n  ".join(changed)
        raise RefusedError(folder.name, what, "restore them, or run a new study on these")


def _rows(opened: _Opened, store: Store, first: Candidate) -> tuple[Array, Arrangement, list[int]]:
    """Return what was right, which rows belong together, and the rows of each fold."""
    targets, arrangements = [], []
    for network in first.networks:
        data = opened.of(network)
        scored = score(network.config, network.checkpoint, split="validation", data=data)
        if scored.outputs is None or scored.targets is None or data.prepared is None:
            raise TypeError("a family's run knows its rows")
        store.keep_outputs(network, scored.outputs.cpu().numpy().astype(np.float32))
        targets.append(scored.targets.cpu().numpy())
        arrangements.append(arrange(network.config, data.prepared))
    sizes = [len(one) for one in targets]
    return np.concatenate(targets), _joined(arrangements), sizes


def _joined(arrangements: Sequence[Arrangement]) -> Arrangement:
    """Return the arrangement of folds one after the other; no unit stands in two of them."""
    units, n = [], 0
    for one in arrangements:
        units.append(one.units + n)
        n += one.n_units
    first = arrangements[0]
    return Arrangement(
        units=np.concatenate(units), kept_together=first.kept_together, gap=first.gap
    )


def _outputs(opened: _Opened, store: Store, network: Network, n_rows: int) -> Floats:
    kept = store.outputs(network, n_rows)
    if kept is not None:
        return kept
    data = opened.of(network)
    scored = score(network.config, network.checkpoint, split="validation", data=data)
    if scored.outputs is None:
        raise TypeError("a family's run knows its rows")
    outputs = scored.outputs.cpu().numpy().astype(np.float32)
    store.keep_outputs(network, outputs)
    return outputs


def predictions_on_test(folder: StudyFolder, networks: Sequence[Network]) -> Predictions:
    """Return what networks predict of the test rows, one after the other, and what was right.

    The caller counts the opening of the test split before.

    Raises:
        RefusedError: if data or split are not those that were recorded.
        UsageError: if there is no test split, or a checkpoint does not fit its config.
    """
    found: dict[Path, Floats] = {}
    rows: tuple[Array, Arrangement] | None = None
    last: tuple[str, RunData] | None = None
    with log_to(folder.log):
        for network in sorted(networks, key=lambda one: _key(one.config)):
            key = _key(network.config)
            if last is None or last[0] != key:
                last = (key, open_data(network.config, with_test=True))
                refuse_other_data(folder, network, last[1])
            scored = score(network.config, network.checkpoint, split="test", data=last[1])
            if scored.outputs is None or scored.targets is None or last[1].prepared is None:
                raise TypeError("a family's run knows its rows")
            found[network.checkpoint] = scored.outputs.cpu().numpy().astype(np.float32)
            if rows is None:
                together = arrange(network.config, last[1].prepared, split="test")
                rows = (scored.targets.cpu().numpy(), together)
    if rows is None:
        raise TypeError("an ensemble has members")
    parts = np.stack([found[network.checkpoint] for network in networks])
    return Predictions(parts=parts, targets=rows[0], arrangement=rows[1])

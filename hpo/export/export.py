"""Export: one file of a trained model with its preparation, compared before it is written."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Literal, TypeAlias

import numpy as np

from hpo.errors import UsageError
from hpo.export.card import Facts, card
from hpo.export.compared import ROWS, SMALLER, Compared, compare, words
from hpo.export.contents import Packed, manifest_of, pack
from hpo.export.describing import seen_of
from hpo.export.onnx_form import onnx_content, onnx_model, refuse_onnx, require_onnx
from hpo.export.program import program_of
from hpo.export.pt2_form import pt2_content
from hpo.export.recurrent import as_single_nodes
from hpo.export.rows import Data, open_rows, spread
from hpo.export.scores import Worth, recorded_hashes, worth_of
from hpo.export.source import Source, open_source
from hpo.files import write_bytes, write_text
from hpo.local import only_data, read_config
from hpo.logs import log_to
from hpo.predict.onnx_file import OnnxPredictor
from hpo.predict.predictor import Predictor, Raw
from hpo.predict.pt2_file import Pt2Predictor
from hpo.ship.drift import quantities_of, statistics_of
from hpo.ship.manifest import Manifest
from hpo.ship.seal import MARK
from lightning_modules.data.forecasting import WindowPreparation
from lightning_modules.task import NUMBERS

Form: TypeAlias = Literal["onnx", "pt2"]
FORMS: tuple[Form, ...] = ("onnx", "pt2")
DESCRIBED = 10_000
"""Training rows by which drift is measured later, and of which the card speaks."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How a model is to be exported."""

    form: Form | None = None
    """By default that of the output's name, otherwise ``onnx``."""
    output: Path | None = None
    """By default the model's name, beside its record."""
    trial: int | None = None
    """Of a study, this trial in the place of the best."""
    sets: Sequence[str] = ()
    """``data.path=…`` where the data are on this machine."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file that was written, and its card beside it."""

    file: Path
    card: Path
    sha256: str
    size: int
    manifest: Manifest
    compared: Compared
    sentence: str
    """What was compared, in words."""


def export(given: str, wanted: Wanted, *, results: Path, say: Callable[[str], None]) -> Exported:
    """Write one file of a trained model or an ensemble, and a card beside it.

    Args:
        given: a ``best_config.json``, an ``ensemble.json``, the folder of a run or of a study, or a
            study's name.
        wanted: how.
        results: the folder of all studies.
        say: told what is being done.

    Raises:
        UsageError: if it is no such model; its data cannot be read here; or its network cannot be
            followed.
        RefusedError: if the data are others than those of its training, or what was made differs
            from the checkpoint. Nothing is written then.
        EnvironmentFault: if a package is missing.
    """
    form = _form(wanted)
    if form == "onnx":
        require_onnx()
    only_data(wanted.sets)
    source = open_source(given, results, trial=wanted.trial)
    file = _place(source, wanted.output, form)
    packed = _packed(source, form)
    data = _data(source, wanted.sets)
    train = data.rows(spread(data.places("train"), data.raw, DESCRIBED))
    worth = worth_of(source, data.n_rows["validation"])
    manifest = _manifest(source, packed, worth, train, form)
    manifest = manifest.model_copy(update={"hashes": data.hashes})
    _tell(manifest, packed, form, say)
    content = content_of(packed, manifest, form)
    compared, sentence = _compared(source, data, opened(content, form))
    facts = Facts(
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        compared=sentence,
        worth=worth,
        n_rows=data.n_rows,
        seen=seen_of(source.first.fitted, train),
    )
    return _write(manifest, facts, content, compared)


def _form(wanted: Wanted) -> Form:
    """Return the format, which the name of the output may decide.

    Raises:
        UsageError: if the name ends otherwise than its format.
    """
    if wanted.output is None:
        return wanted.form or "onnx"
    ending = wanted.output.suffix.lower().removeprefix(".")
    named = next((form for form in FORMS if form == ending), None)
    if named is None or wanted.form not in (None, named):
        expected = " or ".join(f".{form}" for form in FORMS if wanted.form in (None, form))
        what = f"ends in {wanted.output.suffix or 'nothing'}"
        raise UsageError(str(wanted.output), what, f"expected {expected}")
    return named


def _place(source: Source, output: Path | None, form: Form) -> Path:
    """Return where the file will be.

    Raises:
        UsageError: if there is no such folder, or a file there that is no model.
    """
    file = source.folder / f"{source.name}.{form}" if output is None else output
    if not file.parent.is_dir():
        hint = f"mkdir -p {quote(str(file.parent))}"
        raise UsageError(str(file), "its folder does not exist", hint)
    if file.is_dir():
        raise UsageError(str(file), "is a folder", "name a file in it")
    if file.exists() and MARK not in file.read_bytes():
        raise UsageError(str(file), "is there, and no model file of hpo's", "name another with -o")
    return file


def _packed(source: Source, form: Form) -> Packed:
    packed = pack(source)
    if form == "onnx":
        refuse_onnx(packed.raw.vocabularies, packed.raw.texts, packed.size)
    return packed


def _data(source: Source, sets: Sequence[str]) -> Data:
    """Return the data that the first member was trained on."""
    with log_to(None):
        config = read_config(source.config_file, sets)
        return open_rows(config, source.first.fitted, recorded=recorded_hashes(source))


def _tell(manifest: Manifest, packed: Packed, form: Form, say: Callable[[str], None]) -> None:
    """Say what is made, and what a user would trip over."""
    say(f"making one {'ONNX' if form == 'onnx' else '.pt2'} file of {packed.family}…")
    for note in manifest.notes:
        if "exactly" in note:
            say(note)


def _manifest(source: Source, packed: Packed, worth: Worth, train: Raw, form: Form) -> Manifest:
    predictor = source.predictor
    quantities = quantities_of(source.first.fitted, train)
    statistics = statistics_of(quantities, predictor.outputs(train), predictor.answers)
    return manifest_of(source, packed, scores=worth.scores, statistics=statistics, form=form)


def content_of(packed: Packed, manifest: Manifest, form: Form) -> bytes:
    """Return the bytes of the file, sealed.

    Raises:
        UsageError: if torch.export or ONNX cannot follow the network.
    """
    if form == "pt2":
        program = program_of(packed.module, packed.specs, family=packed.family)
        return pt2_content(program, manifest)
    names = [one.name for one in packed.specs]
    with as_single_nodes(packed.module):
        program = program_of(packed.module, packed.specs, family=packed.family)
        model = onnx_model(program, names, packed.output.name, family=packed.family)
    return onnx_content(model, manifest)


def opened(content: bytes, form: Form) -> Predictor:
    """Return the predictor of a file that is not written yet.

    Raises:
        UsageError: if it cannot be opened.
    """
    if form == "pt2":
        return Pt2Predictor.from_bytes(content, "the exported file")
    return OnnxPredictor.from_bytes(content, "the exported file")


def _compared(source: Source, data: Data, exported: Predictor) -> tuple[Compared, str]:
    """Predict rows of validation, and of training where those are few, by file and checkpoint."""
    places, of = spread(data.places("validation"), data.raw, ROWS), "validation"
    more = ROWS - len(places)
    train = spread(data.places("train"), data.raw, more) if more > 0 else places[:0]
    if len(train):
        places, of = np.concatenate([places, train]), "validation and training"
    preparation = source.first.fitted.preparation
    compared = compare(
        exported.outputs,
        source.predictor,
        data.rows(places),
        deviations=data.deviations() if source.predictor.answers.kind in NUMBERS else None,
        window=preparation.window if isinstance(preparation, WindowPreparation) else 1,
    )
    return compared, words(compared, of, SMALLER)


def _write(manifest: Manifest, facts: Facts, content: bytes, compared: Compared) -> Exported:
    beside = facts.file.with_name(f"{facts.file.name}.md")
    text = card(manifest, facts)
    write_bytes(facts.file, content)
    write_text(beside, text)
    return Exported(
        file=facts.file,
        card=beside,
        sha256=facts.sha256,
        size=facts.size,
        manifest=manifest,
        compared=compared,
        sentence=facts.compared,
    )

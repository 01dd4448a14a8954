"""Make a model smaller in one or several ways; keep what is smaller and as good."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hpo.compress.asking import ALL, Ask, check_ask, places
from hpo.compress.files import Original, read_original
from hpo.compress.making import Maker, Trained, exported
from hpo.compress.material import Material, material_of
from hpo.compress.measuring import Candidate, Measured, measured
from hpo.compress.outcome import NAMES, Compressed, Form
from hpo.errors import StudyError, UsageError
from hpo.export.card import Facts, card
from hpo.export.describing import seen_of
from hpo.export.export import DESCRIBED
from hpo.export.rows import spread
from hpo.export.scores import Worth
from hpo.export.source import open_source
from hpo.files import make_folder, write_bytes, write_text
from hpo.local import local_config, read_config
from hpo.logs import log_to
from hpo.predict.onnx_file import OnnxPredictor
from hpo.words import number

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A model, the rows of its data, and where its forms go."""

    original: Original
    material: Material
    trained: Trained | None
    files: dict[str, Path]


def compress_model(ask: Ask, *, tell: Tell) -> Compressed:
    """Make forms of a model, measure them beside it, and write those that pass.

    A form passes if it is smaller, and its metric on the validation rows is not worse by more than
    is allowed. Beside each file stands its card.

    Args:
        ask: what is asked.
        tell: told what is being done.

    Raises:
        UsageError: if the model, or what is asked of it, is wrong, or its data are out of reach.
        RefusedError: if the data are others than those of its training.
        StudyError: if the fine-tuning of a pruned network diverges.
        EnvironmentFault: if a package is missing.
    """
    check_ask(ask)
    with tempfile.TemporaryDirectory(prefix="hpo-compress-") as name, log_to(None):
        opened = _opened(ask, Path(name), tell)
        maker = Maker(
            ask=ask,
            original=opened.original,
            material=opened.material,
            trained=opened.trained,
            scratch=Path(name),
            tell=tell,
        )
        candidates, not_made = _made(maker)
        tell("measuring…")
        original = opened.original.content
        found = measured(original, candidates, opened.material, max_drop=ask.max_drop)
    return _outcome(ask, opened, found, not_made)


def _opened(ask: Ask, scratch: Path, tell: Tell) -> _Opened:
    trained = None
    if ask.is_file:
        path = Path(ask.model)
        original = read_original(path)
        files = places(ask, path.parent, path.stem)
        config = local_config(original.manifest.config, path, ask.overrides)
    else:
        source = open_source(ask.model, ask.results)
        files = places(ask, source.folder, source.name)
        config = read_config(source.config_file, ask.overrides)
        tell("exporting…")
        file = scratch / "original.onnx"
        original = exported(ask.model, config, file, results=ask.results)
        trained = Trained(source=source, config=config)
    material = material_of(original.manifest, config)
    return _Opened(original=original, material=material, trained=trained, files=files)


def _made(maker: Maker) -> tuple[list[Candidate], dict[str, str]]:
    """Return the forms that could be made, and why the others could not.

    Raises:
        UsageError: if the only one that was asked for could not.
        StudyError: if its fine-tuning diverged.
    """
    candidates, not_made = [], {}
    for method in maker.ask.methods:
        try:
            candidates.append(maker.make(method))
        except (UsageError, StudyError) as error:
            if maker.ask.method != ALL:
                raise
            not_made[NAMES[method]] = f"{error.what}; {error.hint}" if error.hint else error.what
    return candidates, not_made


def _outcome(
    ask: Ask, opened: _Opened, found: list[Measured], not_made: dict[str, str]
) -> Compressed:
    """Write what is kept, and return everything."""
    methods = {name: method for method, name in NAMES.items()}
    forms = [found[0].form]
    for one in found[1:]:
        form = one.form
        if form.kept:
            file = opened.files[methods[form.name]]
            _write(file, one, opened, found[0].form)
            form = replace(form, file=str(file))
        forms.append(form)
    truth = opened.material.truth
    return Compressed(
        model=ask.model,
        metric=truth.metric,
        direction=truth.direction,
        n_rows=opened.material.n_rows,
        max_drop=ask.max_drop,
        forms=forms,
        not_made=not_made,
    )


def _write(file: Path, one: Measured, opened: _Opened, first: Form) -> None:
    """Write a form and its card."""
    predictor = OnnxPredictor.from_bytes(one.content, str(file), threads=1)
    manifest, data = predictor.manifest, opened.material.data
    train = data.rows(spread(data.places("train"), data.raw, DESCRIBED))
    change, n_rows = one.form.change, opened.material.n_rows
    if change is None:
        raise ValueError("a form without a value is never kept")
    apart = f"at most {change.largest:.2g} apart"
    low, high = (number(end) for end in change.ci95)
    remark = (
        f"This file was made smaller ({manifest.compressed}): {one.form.size_bytes:,} bytes instead"
        f" of {first.size_bytes:,}. The original has {number(change.before)} on the same rows; the "
        f"difference is {change.difference:+.4g} (95 % {low} to {high}). On the test split it was "
        "not measured."
    )
    facts = Facts(
        file=file,
        sha256=hashlib.sha256(one.content).hexdigest(),
        size=len(one.content),
        compared=f"compared with the original on {n_rows:,} rows of validation: {apart}",
        worth=Worth(scores=manifest.scores, others=[], per_class={}, remarks=[remark]),
        n_rows=data.n_rows,
        seen=seen_of(manifest.fitted, train),
    )
    text = card(manifest, facts)
    make_folder(file.parent)
    write_bytes(file, one.content)
    write_text(file.with_name(f"{file.name}.md"), text)

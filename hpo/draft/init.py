"""Draft a study file from data alone: a CSV or Parquet file, a folder of images or IDX files."""

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from hpo.draft.archives import look_at_archive
from hpo.draft.columns import (
    Column,
    Goal,
    class_goal,
    default_target,
    goal_of,
    goal_of_several,
    is_free_text,
    many,
    named_targets,
    read_columns,
)
from hpo.errors import DataError, UsageError
from hpo.files import parse_document
from hpo.spec import StudySettings, check_document
from lightning_modules.data.config import IdxConfig, SourceConfig
from lightning_modules.data.forecasting import split_steps
from lightning_modules.data.image_folder import list_images
from lightning_modules.data.images import load_idx
from lightning_modules.data.raw import load
from lightning_modules.data.repeats import cut
from lightning_modules.task import TASKS, ForecastingConfig

STUDY_FILE = "study.yaml"
_MOST_CLASSES = 20
_SKEW = 5
_SHOWN = 60
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off")
_EPOCHS = ((1_000, 60), (5_000, 40), (20_000, 30), (100_000, 20))
_BATCHES = ((500, (8, 16, 32)), (2_000, (16, 32, 64)), (20_000, (32, 64, 128)))


def draft_study(path: Path, *, target: str | None = None, name: str | None = None) -> str:
    """Return the text of a study file on the data under ``path``, commented and ready to run.

    Args:
        path: a CSV or Parquet file, an archive of NumPy arrays x and y, a folder with a sub-folder
            of images per class, or one of IDX files.
        target: the column to predict, or several between commas; by default one of `TARGETS`, else
            the last that can be.
        name: the study's name; by default the file's.

    Raises:
        DataError: if no study could run on the data, with what is in its way.
        UsageError: if ``target`` is given for a folder, or ``name`` cannot name a study.
    """
    if path.suffix.lower() == ".npz":
        if target is not None:
            raise UsageError(str(path), "is an archive: its y is predicted", "leave target out")
        text = _draft_arrays(path, name or _name_of(path))
    elif not path.expanduser().is_dir():
        text = _draft_table(path, target, name or _name_of(path))
    elif target is not None:
        raise UsageError(str(path), "is a folder: it has no column to predict", "leave target out")
    else:
        text = _draft_images(path, name or _name_of(path))
    _check(text)
    return text


def write_draft(text: str, to: Path) -> None:
    """Write a draft to a file that does not exist yet.

    Raises:
        UsageError: if it exists, or cannot be written.
    """
    if to.name != STUDY_FILE:
        text = text.replace(f"hpo run {STUDY_FILE}", f"hpo run {shlex.quote(to.name)}", 1)
    try:
        with to.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(str(to), "exists already", "remove it, or name another file") from None
    except OSError as error:
        raise UsageError(str(to), f"cannot be written: {error.strerror}") from None


def _draft_table(path: Path, target: str | None, name: str) -> str:
    where, file = str(path), path.expanduser()
    looked = read_columns(file, where=where)
    frame, columns = looked.frame, looked.columns
    if target is None:
        target, reason = default_target(columns, where)
        targets = [target]
    else:
        targets, reason = named_targets(target, list(frame.columns), where), ""
    goal = _goal(frame[targets], where, reason)
    features = [column for column in columns if column.name not in targets]
    ignored = [column for column in features if column.why]
    alone = _text_alone(frame, features)
    if len(ignored) == len(features) and alone is None:
        whys = "; ".join(f"{column.name!r} {column.why}" for column in ignored[:5])
        raise DataError(where, f"has no column to predict {target!r} from ({whys})", "add one")
    n_used = len(features) - len(ignored)
    shown = ", ".join(map(_quoted, targets))
    lines = [
        *_title(name, f"predict {shown} from {alone or many(n_used, 'column')}"),
        *_table(columns, targets),
        f"name: {_quoted(name)}",
        *_task(goal, f"target{'s' if len(targets) > 1 else ''}: {shown}"),
        "data:",
        f"  source: {'parquet' if looked.form is None else 'csv'}",
        _path(path),
        f"  target: {shown}" if len(targets) == 1 else f"  target: [{shown}]",
        *(_not_used(ignored) if alone is None else [f"  text: {alone}  # nothing else is read"]),
        "  validation: 0.2  # the share of rows that judges the trials",
        "  test: 0.2  # the share that only hpo evaluate --test ever reads",
        *(_TEXT_CNN if alone else _MLP),
        *_training(goal),
    ]
    return "\n".join(lines) + "\n"


def _text_alone(frame: pd.DataFrame, features: Sequence[Column]) -> str | None:
    """Return the column of sentences, where there is no other column to predict from."""
    texts = [one.name for one in features if one.why and is_free_text(frame[one.name])]
    return _quoted(texts[0]) if texts and all(one.why for one in features) else None


def _not_used(ignored: Sequence[Column]) -> list[str]:
    first = ["  ignore:  # take a line off to use that column"] if ignored else []
    return [*first, *(f"    - {_quoted(one.name)}  # {_comment(one.why)}" for one in ignored)]


def _goal(frame: pd.DataFrame, where: str, reason: str) -> Goal:
    if frame.shape[1] > 1:
        return goal_of_several(frame, where)
    return replace(goal_of(frame.iloc[:, 0], str(frame.columns[0]), where), about=reason)


def _draft_images(path: Path, name: str) -> str:
    where, folder = str(path), path.expanduser()
    if any(folder.glob("train-images[-.]idx[34]-ubyte*")):
        official = any(folder.glob("t10k-*"))
        raw = load_idx(IdxConfig(path=where, test=None if official else 0.2))
        labels, source = np.asarray(raw.y), ["  source: idx", _path(path)]
        side = min(np.asarray(raw.x).shape[2:])
        test = [] if official else ["  test: 0.2  # the share that only hpo evaluate --test reads"]
    else:
        files = list_images(where)
        labels = np.array([label for label, _ in files], dtype=object)
        side, channels = _look_at([file for _, file in files])
        source = [
            "  source: image_folder",
            _path(path),
            f"  size: {side}  # pixels a side; the time of a trial grows with its square",
            f"  channels: {channels}",
        ]
        test = ["  test: 0.2  # the share that only hpo evaluate --test ever reads"]
    goal = class_goal(labels, where=where, what="the folder")
    lines = [
        *_title(name, f"tell {len(goal.classes)} classes of images apart"),
        f"name: {_quoted(name)}",
        *_task(goal, many(goal.n_rows, "image")),
        "data:",
        *source,
        "  validation: 0.2  # the share of images that judges the trials",
        *test,
        *_cnn(side),
        *_training(goal),
    ]
    return "\n".join(lines) + "\n"


def _draft_arrays(path: Path, name: str) -> str:
    found = look_at_archive(path)
    goal = Goal(kind="forecasting", n_rows=len(found.raw.y), classes={})
    if found.kind != "series":
        goal = _goal(pd.DataFrame(found.raw.y), str(path), "")
    test = "null  # x_test and y_test are the test split"
    model = {"text": _TEXT_CNN, "table": _MLP, "sequence": _GRU, "series": _GRU}.get(found.kind)
    lines = [
        *_title(name, f"predict y from {found.about}"),
        f"name: {_quoted(name)}",
        *_task(goal, "target: y"),
        "data:",
        "  source: npz",
        _path(path),
        "  validation: 0.2  # the share of rows that judges the trials",
        f"  test: {test if found.raw.official_test else '0.2  # what hpo evaluate --test reads'}",
        *(model or _cnn(min(np.asarray(found.raw.x).shape[2:]))),
        *_training(goal),
    ]
    return "\n".join(lines) + "\n"


def _look_at(files: Sequence[Path]) -> tuple[int, str]:
    """Return pixels a side and channels that suit a sample of the images."""
    sides, grey = [], True
    for file in files[:: max(len(files) // 40, 1)]:
        try:
            with Image.open(file) as image:
                sides.append(min(image.size))
                grey = grey and image.mode in ("1", "L", "LA", "I", "I;16")
        except (OSError, UnidentifiedImageError):
            raise DataError(str(file), "cannot be decoded", "replace or remove it") from None
    return min(max(int(np.median(sides)), 8), 64), "grey" if grey else "rgb"


def _check(text: str) -> None:
    """Check that a draft is a study, and that its table loads and splits."""
    spec = check_document(parse_document(text, STUDY_FILE))
    config = spec.space.resolve(spec.space.defaults()[0].params)
    if config.source not in ("csv", "parquet", "npz") or not isinstance(config.data, SourceConfig):
        return
    data, raw = config.data, load(config.data, task_kind=str(config.kind))
    if isinstance(config.task, ForecastingConfig):
        split_steps(len(raw.y), validation=data.validation, test=data.test, task=config.task)
    else:
        cut(raw, data, task_kind=str(config.kind))


def _title(name: str, what: str) -> list[str]:
    return [
        f"# {_comment(name)}: {what}.   hpo run {STUDY_FILE}",
        "# Drafted by hpo init: every line may be changed. Ranges are {low, high}; a plain value",
        "# is fixed. Raising budget.trials or trainer.max_epochs costs time in proportion.",
    ]


def _table(columns: Sequence[Column], targets: Sequence[str]) -> list[str]:
    rows = [("column", "kind", "missing", "distinct", "")]
    for one in columns[:_SHOWN]:
        use = "target" if one.name in targets else "ignored" if one.why else ""
        rows.append((_quoted(one.name), one.kind, str(one.missing), str(one.distinct), use))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        f"#   {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  "
        f"{row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    more = len(columns) - _SHOWN
    return ["#", *lines, *([f"#   and {more} more"] if more > 0 else []), "#"]


def _task(goal: Goal, subject: str) -> list[str]:
    lines = [f"# {subject} {goal.about}".rstrip()]
    if goal.kind == "forecasting":
        steps = "{kind: forecasting, window: {choices: [24, 48]}, horizon: 12}"
        return [*lines, f"task: {steps}  # steps that are looked at, and that are predicted"]
    if not goal.classes:
        return [*lines, "task: {kind: regression}"]
    shown = ", ".join(
        f"{_quoted(one)} {n}" for one, n in islice(goal.classes.items(), _MOST_CLASSES)
    )
    more = len(goal.classes) - _MOST_CLASSES
    word = (
        "labels and the rows with them" if goal.kind == "multilabel" else "classes and their rows"
    )
    lines.append(f"# {word}: {shown}" + (f", {more} more" if more > 0 else ""))
    if not _skewed(goal):
        return [*lines, f"task: {{kind: {goal.kind}}}"]
    lines.append(f"# The largest class has more than {_SKEW} times the rows of the smallest: each")
    lines.append("# class weighs the same in the loss, and the metric does not count rows alone.")
    return [*lines, f"task: {{kind: {goal.kind}, class_weights: balanced}}"]


def _skewed(goal: Goal) -> bool:
    counts = goal.classes.values()
    several = goal.kind == "multilabel"
    return bool(counts) and not several and max(counts) > _SKEW * min(counts)


_MLP = (
    "model:",
    "  family: mlp",
    "  n_layers: {low: 1, high: 4}",
    "  width: {low: 16, high: 256, log: true}",
    "  dropout: {low: 0.0, high: 0.5}",
    "  norm: {choices: [none, batch]}",
)


_TEXT_CNN = (
    "model:",
    "  family: text_cnn",
    "  width: {low: 16, high: 128, log: true}",
    "  n_filters: {low: 16, high: 128, log: true}",
    "  dropout: {low: 0.0, high: 0.6}",
)

_GRU = (
    "model:",
    "  family: gru",
    "  n_layers: {low: 1, high: 2}",
    "  width: {low: 16, high: 128, log: true}",
    "  dropout: {low: 0.0, high: 0.5}",
)


def _cnn(side: int) -> list[str]:
    return [
        "model:",
        "  family: cnn",
        f"  n_layers: {{low: 1, high: {3 if side < 32 else 4}}}",
        "  width: {low: 8, high: 48, log: true}",
        "  kernel: {choices: [3, 5]}",
        "  dropout: {low: 0.0, high: 0.5}",
    ]


def _training(goal: Goal) -> list[str]:
    epochs = next((epochs for rows, epochs in _EPOCHS if goal.n_rows < rows), 10)
    sizes = next((sizes for rows, sizes in _BATCHES if goal.n_rows < rows), (64, 128, 256))
    metric, why = TASKS[goal.kind].default_metric, ""
    if _skewed(goal):
        last = list(goal.classes)[-1]
        rare = goal.kind == "binary" and goal.classes[last] == min(goal.classes.values())
        metric = "f1" if rare else "balanced_accuracy"
        why = f"  # of the rare class, {_quoted(last)}" if rare else "  # the mean over the classes"
    return [
        "optimizer:",
        "  one_of:",
        "    adamw:",
        "      lr: {low: 1e-4, high: 3e-2, log: true}",
        "      weight_decay: {low: 1e-5, high: 1e-1, log: true}",
        "    sgd:",
        "      lr: {low: 1e-3, high: 0.5, log: true}",
        "      momentum: {low: 0.0, high: 0.99}",
        "schedule: {name: cosine}",
        "trainer:",
        f"  max_epochs: {epochs}  # for {many(goal.n_rows, 'row')}; fewer rows need more epochs",
        f"  batch_size: {{choices: [{', '.join(map(str, sizes))}]}}",
        f"  early_stopping: {{patience: {max(epochs // 4, 5)}}}",
        f"objective: {{metric: {metric}}}{why}",
        "budget: {trials: 40, time: 15m}  # whichever ends first; hpo run again goes on",
        "search: {sampler: tpe, pruner: hyperband, seed: 0}",
    ]


def _path(path: Path) -> str:
    note = "" if path.expanduser().is_absolute() else "  # from the folder in which hpo runs"
    return f"  path: {_quoted(str(path))}{note}"


def _name_of(path: Path) -> str:
    """Return a study's name made of the file's."""
    stem = Path(os.path.abspath(path.expanduser())).stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:57].rstrip("-._")
    try:
        return StudySettings(name=plain).name
    except ValidationError:  # nothing is left, or a name that systems reserve
        return f"study-{plain}".rstrip("-")


def _comment(text: str) -> str:
    """Return ``text`` fit for the end of a line of YAML."""
    return "".join(c if c.isprintable() else " " for c in text)


def _quoted(text: str) -> str:
    r"""Return ``text`` as one word of YAML 1.2, quoted unless it is a plain name.

    >>> print(_quoted("age"), _quoted("no"), _quoted('a "b": c'))
    age "no" "a \"b\": c"
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else _escape(c) for c in plain) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"

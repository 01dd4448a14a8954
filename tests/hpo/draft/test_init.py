import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hpo.draft.columns import class_goal
from hpo.draft.init import draft_study, write_draft
from hpo.errors import DataError, SpecError, UsageError
from hpo.spec import StudySpec, load_study
from hpo.study import run_study
from lightning_modules.config import RunConfig
from lightning_modules.data.config import SourceConfig
from lightning_modules.data.raw import RawData, load


def config_of(text: str, folder: Path) -> tuple[StudySpec, RunConfig]:
    """Write a draft, read it back as a study, return its default config."""
    file = folder / "study.yaml"
    file.unlink(missing_ok=True)
    write_draft(text, file)
    spec = load_study(file)
    return spec, spec.space.resolve(spec.space.defaults()[0].params)


def load_of(config: RunConfig) -> RawData:
    assert isinstance(config.data, SourceConfig)
    return load(config.data, task_kind=str(config.kind))


def write(folder: Path, text: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(n: int, line: Callable[[int], str]) -> str:
    return "".join(f"{line(i)}\n" for i in range(n))


def ignored(config: RunConfig) -> list[str]:
    names: list[str] = config.plain()["data"]["ignore"]
    return names


TABLES: dict[str, tuple[str | bytes, str, str, list[str]]] = {
    # name: (file, target, kind, ignored)
    "quoted commas": (
        "a,b,y\n" + rows(20, lambda i: f'{i * 0.5},"x, {i % 2}",{"no" if i % 2 else "yes"}'),
        "y",
        "binary",
        [],
    ),
    "a byte order mark": (
        b"\xef\xbb\xbflabel,a\n" + rows(12, lambda i: f"{i % 3},{i * 1.5}").encode(),
        "label",
        "regression",  # 3 distinct numbers are a quarter of 12 rows
        [],
    ),
    "missing values": (
        "a,b,price\n"
        + rows(30, lambda i: f"{i / 7 if i % 4 else ''},{'NA' if i % 3 else 'uv'[i % 2]},{i / 9}"),
        "price",
        "regression",
        [],
    ),
    "booleans": (
        "on,a,won\n" + rows(20, lambda i: f"{i % 3 == 0},{i / 3},{i % 2 == 0}"),
        "won",
        "binary",
        [],
    ),
    "whole numbers as classes": (
        "a,b,quality\n" + rows(120, lambda i: f"{i * 0.3},{i * i % 7},{i % 4}"),
        "quality",
        "multiclass",
        [],
    ),
    "zero and one in few rows": (
        "a,y\n" + rows(10, lambda i: f"{i / 3},{i % 2}"),
        "y",
        "binary",
        [],
    ),
    "many whole numbers": (
        "a,price\n" + rows(60, lambda i: f"{i / 3},{i * i}"),
        "price",
        "regression",
        [],
    ),
    "constant columns": (
        "a,b,c,y\n" + rows(12, lambda i: f"{i / 3},5,same,{i * 1.1}"),
        "y",
        "regression",
        ["b", "c"],
    ),
    "ids, dates, free text and empty columns": (
        "id,user_id,when,day,note,empty,a,y\n"
        + rows(
            60,
            lambda i: (
                f"{i},{i * 7 % 61},2024-01-{i % 28 + 1:02} 10:00,{i % 28 + 1}.3.2024,"
                f"text {i},,{i / 3},{i * 1.1}"
            ),
        ),
        "y",
        "regression",
        ["id", "user_id", "note", "empty"],
    ),
    "an index without a name": (
        ",a,class\n" + rows(12, lambda i: f"{i},{i / 3},{'uv'[i % 2]}"),
        "class",
        "binary",
        ["Unnamed: 0"],
    ),
    "names in other alphabets": (
        "größe: cm,名前,'#x',y y\n"
        + rows(12, lambda i: f"{i / 3},{'甲乙'[i % 2]},{i / 7},{i / 9}"),
        "y y",
        "regression",
        [],
    ),
    "names and values that YAML would take for something else": (
        'no,"a: b","# c","[d","q""q",null\n'
        + rows(12, lambda i: f"{i / 3},{i / 4},{i / 5},{i / 6},{i / 7},{'true' if i % 2 else 'x'}"),
        "null",
        "binary",
        [],
    ),
    "numbers that are text here and there": (
        "a,b,y\n" + rows(40, lambda i: f"{i / 3},{'oops' if i == 17 else i / 4},{i / 5}"),
        "y",
        "regression",
        ["b"],
    ),
    "infinite numbers": (
        "a,b,y\n" + rows(12, lambda i: f"{i / 3},{'inf' if i == 3 else i / 4},{i / 5}"),
        "y",
        "regression",
        ["b"],
    ),
    "too many categories": (
        "a,b,y\n" + rows(800, lambda i: f"{i / 3},c{i % 390},{i / 5}"),
        "y",
        "regression",
        ["b"],
    ),
    "columns that pandas numbered": (
        "0,1,2\n" + rows(12, lambda i: f"{i / 3},{i / 4},{i / 5}"),
        "2",
        "regression",
        [],
    ),
    "the last column cannot be predicted": (
        "a,b,empty\n" + rows(12, lambda i: f"{i / 3},{i / 4},"),
        "b",
        "regression",
        ["empty"],
    ),
    "line breaks in names and values": (
        '"a\nb",c,y\n' + rows(12, lambda i: f'{i / 3},"same\nvalue",{i / 4}'),
        "y",
        "regression",
        ["c"],
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_the_draft_of_a_table_is_a_study_whose_data_load(tmp_path: Path, table: str) -> None:
    text, target, kind, left_out = TABLES[table]
    spec, config = config_of(draft_study(write(tmp_path, text)), tmp_path)
    data = config.plain()["data"]
    assert (data["target"], config.kind, ignored(config)) == (target, kind, left_out)
    assert spec.name == "data"
    raw = load_of(config)
    assert raw.x.shape[1] >= 1


def test_every_column_and_why_it_is_left_out_stand_in_the_draft(tmp_path: Path) -> None:
    text, *_ = TABLES["ids, dates, free text and empty columns"]
    draft = draft_study(write(tmp_path, text))
    assert draft.startswith("# data: predict y from 3 columns.   hpo run study.yaml\n")
    assert "#   user_id  number        0        60  ignored\n" in draft
    assert "#   empty    empty        60         0  ignored\n" in draft
    assert "- user_id  # looks like an id: 60 different whole numbers in 60 rows\n" in draft
    assert re.search(r"#   when +date +0 +\d+$", draft, re.MULTILINE)
    assert "- note  # looks like an id or free text: 60 different texts\n" in draft
    assert "- empty  # has no values\n" in draft
    assert "# target: y (by its name; --target names another)\n" in draft


def test_a_wide_table_shows_its_first_columns_only(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(80)]
    text = (
        ",".join(names) + "\n" + rows(12, lambda i: ",".join(str((i + j) / 7) for j in range(80)))
    )
    draft = draft_study(write(tmp_path, text))
    assert "c59" in draft
    assert "#   and 20 more\n" in draft
    assert "c60" not in draft


def test_the_target_that_is_named_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "y,a,b\n" + rows(12, lambda i: f"{i / 3},{'uv'[i % 2]},{i / 4}"))
    _, config = config_of(draft_study(path, target="a", name="mine"), tmp_path)
    assert (config.plain()["data"]["target"], config.kind) == ("a", "binary")
    with pytest.raises(DataError, match=r"has no column 'bb'; did you mean 'b'\?"):
        draft_study(path, target="bb")
    with pytest.raises(SpecError, match="cannot name a folder"):
        draft_study(path, name="../x")


@pytest.mark.parametrize(
    ("few", "common", "metric"),
    [("z", "a", "f1"), ("a", "z", "balanced_accuracy")],
)
def test_skewed_classes_are_weighted_and_judged_by_the_rare_one(
    tmp_path: Path, few: str, common: str, metric: str
) -> None:
    path = write(tmp_path, "a,y\n" + rows(40, lambda i: f"{i / 3},{few if i < 5 else common}"))
    draft = draft_study(path)
    _, config = config_of(draft, tmp_path)
    assert config.plain()["task"]["class_weights"] == "balanced"
    assert config.objective.metric == metric
    assert f"{few} 5" in draft


def test_three_skewed_classes_are_judged_by_balanced_accuracy(tmp_path: Path) -> None:
    path = write(tmp_path, "a,y\n" + rows(60, lambda i: f"{i / 3},{'uv'[i % 2] if i > 3 else 'w'}"))
    _, config = config_of(draft_study(path), tmp_path)
    assert config.objective.metric == "balanced_accuracy"


def test_even_classes_are_judged_by_accuracy_and_numbers_by_rmse(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,y\n" + rows(40, lambda i: f"{i / 3},{i * i / 7},{'uv'[i % 2]}"))
    _, config = config_of(draft_study(path), tmp_path)
    assert (config.objective.metric, config.plain()["task"]["class_weights"]) == (
        "accuracy",
        "none",
    )
    _, config = config_of(draft_study(path, target="a"), tmp_path)
    assert config.objective.metric == "rmse"


def test_more_rows_mean_fewer_epochs_and_larger_batches(tmp_path: Path) -> None:
    seen = []
    for n in (20, 1_200, 6_000):
        path = write(tmp_path, "a,y\n" + rows(n, lambda i: f"{i / 3},{i / 7}"))
        spec, config = config_of(draft_study(path), tmp_path)
        seen.append((config.trainer.max_epochs, config.trainer.batch_size))
        assert spec.budget.trials == 40
        assert spec.budget.time_s == 900
    assert [epochs for epochs, _ in seen] == [60, 40, 30]
    assert [size for _, size in seen] == sorted(size or 0 for _, size in seen)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a header line and rows"),
        ("a,b\n", "has a header but no rows"),
        ("a,b\n1,2,3\n", "line 2 has 3 fields, the header has 2"),
        ("5.1,3.5,setosa\n4.9,3.0,virginica\n", "has no header: its first line holds numbers"),
        ("63,1,145\n37,1,130\n", "has no header: its first line holds numbers; write a line"),
        (b"a,b\n\0,1\n", "is no text: byte 5 is zero"),
        ("a,y\n" + rows(9, lambda i: f"{i / 3},u"), "target 'y' has one class only: 'u'"),
        ("a,y\n" + rows(9, lambda i: f"{i / 3},1.5"), "target 'y' has one class only: '1.5'"),
        ("a,y\n" + rows(9, lambda i: f"{i / 3},"), "target 'y' has no value in 9 rows of 9; drop"),
        ("a,y\n" + rows(9, lambda i: f"{i / 3},{i or ''}"), "no value in 1 row of 9"),
        ("a,y\n1,2\n2,3\n", "has 2 rows: too few to train, judge and test on; at least 6 rows"),
        ("y\n" + rows(9, lambda i: f"{i / 3}"), "has no column to predict 'y' from"),
        ("a,y\n" + rows(9, lambda i: f"5,{i / 3}"), "('a' has the same value in every row: '5')"),
        ("a,b\n" + rows(9, lambda i: "5,u"), "has no column that can be predicted ('a' has the"),
        (
            "a,y\n" + rows(9, lambda i: f"{i / 3},{'uvw'[i % 2 if i < 8 else 2]}"),
            "target 'y' has classes of fewer than 3 rows: 'w' (1); each split needs one: add rows",
        ),
        (
            "a,y\n" + rows(60, lambda i: f"{i / 3},text {i}"),
            "the target: column 'y' looks like an id or free text",
        ),
        (
            "a,y\n" + rows(12, lambda i: f"{i / 3},{'inf' if i == 3 else i / 7}"),
            "the target 'y' has an infinite number; correct it",
        ),
    ],
)
def test_a_table_that_no_study_can_run_on_is_refused(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        draft_study(path)
    assert message.replace(r"\\t", r"\t") in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no.csv: there is no such file; looked in"):
        draft_study(tmp_path / "no.csv")


def test_many_small_classes_are_named_and_counted() -> None:
    labels = np.array([str(i) for i in range(30)], dtype=object)
    with pytest.raises(DataError, match=r"'9' \(1\) and 20 more"):
        class_goal(labels, where="x", what="the target")


def test_the_path_stays_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a,y\n" + rows(12, lambda i: f"{i / 3},{i / 7}"))
    draft = draft_study(Path("data.csv"))
    assert "path: data.csv  # from the folder in which hpo runs\n" in draft


@pytest.mark.parametrize(
    ("file", "name"),
    [("Größe (1).csv", "Groe-1"), ("名前.csv", "study"), ("con.csv", "study-con")],
)
def test_a_study_is_named_after_its_file(tmp_path: Path, file: str, name: str) -> None:
    path = write(tmp_path, "a,y\n" + rows(12, lambda i: f"{i / 3},{i / 7}"), file)
    spec, _ = config_of(draft_study(path), tmp_path)
    assert spec.name == name


def test_a_draft_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "my study.yaml"
    write_draft("# x.   hpo run study.yaml\n", file)
    assert file.read_text() == "# x.   hpo run 'my study.yaml'\n"
    with pytest.raises(UsageError, match="exists already; remove it, or name another file"):
        write_draft("new", file)
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        write_draft("new", tmp_path / "no" / "study.yaml")


def image(path: Path, shade: int, *, side: int = 12, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (side, side + 4), (shade,) * 3 if mode == "RGB" else shade).save(path)


def idx(array: Any) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def test_a_folder_of_classes_becomes_a_study_of_images(tmp_path: Path) -> None:
    for i in range(6):
        image(tmp_path / "pets" / "cat" / f"{i}.png", 10 * i)
        image(tmp_path / "pets" / "dog" / f"{i}.png", 255 - 10 * i)
    draft = draft_study(tmp_path / "pets")
    _, config = config_of(draft, tmp_path)
    data = config.plain()["data"]
    assert (config.source, config.family, config.kind) == ("image_folder", "cnn", "binary")
    assert (data["size"], data["channels"]) == (12, "grey")
    assert "# 12 images\n# classes and their rows: cat 6, dog 6\n" in draft
    image(tmp_path / "pets" / "dog" / "6.png", 9, mode="RGB")
    assert "channels: rgb" in draft_study(tmp_path / "pets")
    assert load_of(config).x.shape == (13, 1, 12, 12)


@pytest.mark.parametrize("gz", [False, True])
def test_a_folder_of_idx_files_becomes_a_study_of_images(tmp_path: Path, gz: bool) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    arrays = {"images-idx3": np.zeros((9, 8, 8), np.uint8), "labels-idx1": np.arange(9) % 3}
    for split in ("train", "t10k"):
        for name, array in arrays.items():
            data = idx(array.astype(np.uint8))
            path = folder / f"{split}-{name}-ubyte{'.gz' if gz else ''}"
            path.write_bytes(gzip.compress(data) if gz else data)
        _, config = config_of(draft_study(folder), tmp_path)
        assert (config.source, config.family, config.kind) == ("idx", "cnn", "multiclass")
        assert config.plain()["data"]["test"] == (0.2 if split == "train" else None)
        assert load_of(config).x.shape == (9, 1, 8, 8)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no class folders"):
        draft_study(tmp_path)
    with pytest.raises(UsageError, match="is a folder: it has no column to predict; leave target"):
        draft_study(tmp_path, target="y")
    for i in range(3):
        image(tmp_path / "a" / f"{i}.png", 1)
    with pytest.raises(DataError, match="the folder has one class only: 'a'"):
        draft_study(tmp_path)
    image(tmp_path / "b" / "0.png", 1)
    with pytest.raises(DataError, match=r"the folder has classes of fewer than 3 rows: 'b' \(1\)"):
        draft_study(tmp_path)
    (tmp_path / "a" / "bad.png").write_text("x")
    with pytest.raises(DataError, match=r"bad.png: cannot be decoded; replace or remove it"):
        draft_study(tmp_path)


def test_a_drafted_study_runs(tmp_path: Path) -> None:
    text = "id,a,b,when,y\n" + rows(
        60,
        lambda i: (
            f"{i},{i / 3 or ''},{'uv'[i % 2]},2024-01-{i % 28 + 1},{'no' if i % 4 else 'yes'}"
        ),
    )
    file = tmp_path / "study.yaml"
    write_draft(draft_study(write(tmp_path, text)), file)
    overrides = ["budget.trials=2", "trainer.max_epochs=1", "search.pruner=none"]
    outcome = run_study(load_study(file, overrides), tmp_path / "results")
    assert [record.state for record in outcome.end.records] == ["complete"] * 2
    assert outcome.best is not None
    assert outcome.best.data["n"] == {"train": 36, "validation": 12, "test": 12}


def test_a_drafted_study_of_images_runs(tmp_path: Path) -> None:
    for i in range(5):
        image(tmp_path / "pets" / "cat" / f"{i}.png", 10 * i)
        image(tmp_path / "pets" / "dog" / f"{i}.png", 255 - 10 * i)
    file = tmp_path / "study.yaml"
    write_draft(draft_study(tmp_path / "pets"), file)
    overrides = ["budget.trials=1", "trainer.max_epochs=1"]
    outcome = run_study(load_study(file, overrides), tmp_path / "results")
    assert outcome.end.records[0].state == "complete"


SAID = [f"the {'good' if i % 2 else 'bad'} word number {i} of many" for i in range(40)]
ARCHIVES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    # name: (arrays, family, kind of task, what the title says)
    "features": (
        {"x": np.arange(80.0).reshape(40, 2), "y": np.arange(40) * 0.3},
        "mlp",
        "regression",
        "predict y from 2 numbers",
    ),
    "sequences": (
        {"x": np.arange(240.0).reshape(40, 3, 2), "y": np.array(["a", "b"] * 20)},
        "gru",
        "binary",
        "predict y from sequences of 3 steps, 2 channels",
    ),
    "images": (
        {"x": np.arange(40.0 * 64).reshape(40, 1, 8, 8), "y": np.array(["a", "b"] * 20)},
        "cnn",
        "binary",
        "predict y from images of 8 by 8 pixels, 1 channel",
    ),
    "texts": (
        {"x": np.array(SAID), "y": np.array(["a", "b"] * 20)},
        "text_cnn",
        "binary",
        "predict y from texts of up to 7 words",
    ),
    "a series": ({"y": np.arange(300.0)}, "gru", "forecasting", "predict y from its own past"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_becomes_a_study(tmp_path: Path, name: str) -> None:
    arrays, family, kind, title = ARCHIVES[name]
    np.savez(tmp_path / "data.npz", **arrays)
    text = draft_study(tmp_path / "data.npz")
    assert title in text.splitlines()[0]
    _, config = config_of(text, tmp_path)
    assert (config.family, config.kind, config.source) == (family, kind, "npz")
    with pytest.raises(UsageError, match="is an archive: its y is predicted; leave target out"):
        draft_study(tmp_path / "data.npz", target="y")


def test_given_test_rows_of_an_archive_are_the_test_split(tmp_path: Path) -> None:
    x, y = np.arange(80.0).reshape(40, 2), np.array(["a", "b"] * 20)
    np.savez(tmp_path / "data.npz", x=x, y=y, x_test=x[:4] + 0.5, y_test=y[:4])
    _, config = config_of(draft_study(tmp_path / "data.npz"), tmp_path)
    assert config.plain()["data"]["test"] is None


def test_a_table_of_sentences_becomes_a_study_of_texts(tmp_path: Path) -> None:
    said = write(tmp_path, "id,said,y\n" + rows(40, lambda i: f"{i},{SAID[i]},{'uv'[i % 2]}"))
    text = draft_study(said)
    assert "predict y from said" in text.splitlines()[0]
    _, config = config_of(text, tmp_path)
    assert (config.family, config.plain()["data"]["text"]) == ("text_cnn", "said")
    mixed = "a,said,y\n" + rows(40, lambda i: f"{i % 7}.5,{SAID[i]},{'uv'[i % 2]}")
    _, config = config_of(draft_study(write(tmp_path, mixed)), tmp_path)
    assert (config.family, ignored(config)) == ("mlp", ["said"])

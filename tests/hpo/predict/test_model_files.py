import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hpo.errors import EnvironmentFault, UsageError
from hpo.export.export import opened
from hpo.predict import onnx_file
from hpo.predict.onnx_file import OnnxPredictor
from hpo.predict.opening import open_predictor
from hpo.predict.predictor import Predictor
from hpo.predict.pt2_file import Pt2Predictor
from hpo.predict.pt2_safety import checked_pt2
from hpo.ship.manifest import MANIFEST_SCHEMA
from hpo.ship.seal import MARK, UNSEALED, check_seal, sealed
from lightning_modules.settings import Settings
from tests.contracts.exported import Case, exported, raw_rows, run_of, source_of

CASE = Case(family="mlp", rows="table", task="multiclass", prepare={"scale": "quantile"})
FORMS = pytest.mark.parametrize("form", ["onnx", "pt2"])


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Return the same model in both formats."""
    source, raw = source_of(run_of(CASE)), raw_rows("table")
    return {form: exported(source, raw, form)[0] for form in ("onnx", "pt2")}  # type: ignore[arg-type]


def _open(form: str, content: bytes) -> Predictor:
    return (OnnxPredictor if form == "onnx" else Pt2Predictor).from_bytes(content, f"model.{form}")


def _again(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change a file as somebody would who then seals it again."""
    start = content.rfind(MARK) + len(MARK)
    blank = content[:start] + b"0" * 64 + content[start + 64 :]
    return sealed(change(blank))


@FORMS
def test_a_path_of_a_model_file_opens_it(
    form: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"model.{form}"
    path.write_bytes(files[form])
    predictor, run = open_predictor(path), run_of(CASE)
    raw = raw_rows("table")
    np.testing.assert_allclose(predictor.outputs(raw), run.outputs(raw), atol=1e-6)
    assert predictor.answers.classes == ["=so", "no", "yes"]
    assert predictor.inputs == run.inputs
    assert predictor.outputs(raw[:0]).shape == (0, 3)  # type: ignore[index]


@FORMS
def test_flipped_bits_and_cut_files_are_never_opened(form: str, files: dict[str, bytes]) -> None:
    content, chance = files[form], random.Random(0)
    for _ in range(60):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        with pytest.raises(UsageError, match=r"is damaged|is no model file"):
            _open(form, bytes(flipped))
        with pytest.raises(UsageError, match=r"is damaged|is no model file"):
            _open(form, content[: chance.randrange(len(content))])


@FORMS
def test_a_file_of_another_schema_says_which(form: str, files: dict[str, bytes]) -> None:
    ours, other = MANIFEST_SCHEMA.encode(), b"hpo.model/9"
    if form == "onnx":
        content = _again(files[form], lambda whole: whole.replace(ours, other))
    else:
        content = _repacked(files[form], lambda name, entry: entry.replace(ours, other))
    with pytest.raises(UsageError, match=rf"model\.{form}: is of 'hpo.model/9', this version of"):
        _open(form, content)


def test_an_archive_that_was_packed_again_is_the_same_model(files: dict[str, bytes]) -> None:
    predictor = _open("pt2", _repacked(files["pt2"], lambda name, entry: entry))
    raw = raw_rows("table")
    np.testing.assert_array_equal(predictor.outputs(raw), _open("pt2", files["pt2"]).outputs(raw))


@FORMS
def test_a_sealed_file_that_is_no_model_is_refused(form: str) -> None:
    with pytest.raises(UsageError, match=r"cannot read it|is no \.pt2 file"):
        _open(form, sealed(b"something else" + UNSEALED.encode()))


def test_formats_are_not_taken_for_each_other(files: dict[str, bytes]) -> None:
    with pytest.raises(UsageError, match="onnxruntime cannot read it"):
        _open("onnx", files["pt2"])
    with pytest.raises(UsageError, match=r"is no \.pt2 file of hpo's"):
        _open("pt2", files["onnx"])


def test_a_foreign_onnx_file_has_no_manifest() -> None:
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    values = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "other", values[:1], values[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    model.metadata_props.add(key="seal", value=UNSEALED)
    with pytest.raises(UsageError, match="is an ONNX file without hpo's manifest"):
        _open("onnx", sealed(model.SerializeToString()))


def test_an_onnx_file_takes_no_weights_from_other_files(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    start = files["onnx"].rfind(MARK) + len(MARK)
    model = onnx.ModelProto.FromString(
        files["onnx"][:start] + b"0" * 64 + files["onnx"][start + 64 :]
    )
    weights = next(one for one in model.graph.initializer if one.name.endswith("weight"))
    Path("secret").write_bytes(weights.raw_data)
    weights.external_data.add(key="location", value="secret")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.ClearField("raw_data")
    with pytest.raises(UsageError, match=r"model\.onnx: onnxruntime cannot read it"):
        _open("onnx", sealed(model.SerializeToString()))


def test_without_onnxruntime_its_extra_is_named(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.extras.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'hpo\[serve\]'") as raised:
        _open("onnx", files["onnx"])
    assert raised.value.exit_code == 5


def test_data_of_a_plugin_that_is_not_there_are_read_by_the_fitted_columns(
    files: dict[str, bytes],
) -> None:
    file = opened(files["onnx"], "onnx")
    assert isinstance(file, OnnxPredictor)
    unknown = file.manifest.model_copy(update={"data": {"source": "somebody's"}})
    assert onnx_file.inputs_of(unknown).data == Settings()
    assert onnx_file.inputs_of(unknown).fitted == file.manifest.fitted


def test_a_file_names_no_place_of_this_machine_and_holds_no_example(
    files: dict[str, bytes],
) -> None:
    for content in files.values():
        assert str(Path(__file__).parents[3]).encode() not in content
        assert b"site-packages" not in content
    with zipfile.ZipFile(io.BytesIO(files["pt2"])) as archive:
        example = next(name for name in archive.namelist() if name.endswith("/model.pt"))
        assert archive.getinfo(example).file_size == 0


class _Code:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (eval, ("1/0",))


def _repacked(content: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return an archive with other entries; None leaves one out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as new:
        for name in archive.namelist():
            entry = change(name, archive.read(name))
            if entry is not None:
                new.writestr(name, entry)
        new.comment = UNSEALED.encode()
    return sealed(out.getvalue())


def _program(change: Callable[[str], str]) -> Callable[[str, bytes], bytes]:
    return lambda name, entry: (
        change(entry.decode()).encode() if name.endswith("/models/model.json") else entry
    )


def _operation(text: str) -> str:
    return text.replace("torch.ops.aten.linear.default", "torch.ops.load_library")


def _expression(text: str) -> str:
    return text.replace("Symbol('s0', positive=True, integer=True)", "__import__('os').getcwd()")


def _guard(text: str) -> str:
    program = json.loads(text)
    return json.dumps({**program, "guards_code": ["__import__('os').getcwd()"]})


def _tree(text: str) -> str:
    return text.replace("builtins.tuple", "collections.namedtuple")


def _example(name: str, entry: bytes) -> bytes:
    if not name.endswith("/model.pt"):
        return entry
    file = io.BytesIO()
    torch.save(_Code(), file)
    return file.getvalue()


def _stored(name: str, entry: bytes) -> bytes:
    if not name.endswith("model_weights_config.json"):
        return entry
    return entry.replace(b'"use_pickle": false', b'"use_pickle": true')


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_program(_operation), "it computes 'torch.ops.load_library'"),
        (_program(_expression), 'it computes "__import__'),
        (_program(_guard), 'it computes "__import__'),
        (_program(_tree), "it computes "),
        (_example, "it holds example rows, which are stored as objects"),
        (_stored, "is stored as an object"),
        (lambda name, entry: b"{}" if "weights_config" in name else entry, "cannot be read"),
    ],
)
def test_a_pt2_file_with_code_in_it_is_refused_before_torch_sees_it(
    change: Callable[[str, bytes], bytes], complaint: str, files: dict[str, bytes]
) -> None:
    content = _repacked(files["pt2"], change)
    assert content != files["pt2"]
    with pytest.raises(UsageError, match=r"is no \.pt2 file of hpo's") as raised:
        _open("pt2", content)
    assert complaint in str(raised.value)


def test_a_pt2_file_with_a_foreign_entry_is_refused(files: dict[str, bytes]) -> None:
    out = io.BytesIO(files["pt2"])
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("archive/data/aotinductor/model/code.so", b"code")
    with pytest.raises(UsageError, match="it holds 'archive/data/aotinductor"):
        checked_pt2(out.getvalue(), "model.pt2")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_an_entry_behind_another_of_its_name_hides_nothing(files: dict[str, bytes]) -> None:
    """Torch reads the first of two entries of one name, Python the last."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files["pt2"])) as archive, zipfile.ZipFile(out, "w") as new:
        for name in archive.namelist():
            if name.endswith("/models/model.json"):
                new.writestr(name, _guard(archive.read(name).decode()))
            new.writestr(name, archive.read(name))
        new.comment = UNSEALED.encode()
    with pytest.raises(UsageError, match="an entry stands in it twice"):
        _open("pt2", sealed(out.getvalue()))


def test_torch_reads_what_was_looked_at_whatever_else_the_bytes_say(
    files: dict[str, bytes],
) -> None:
    """Where bytes stand before an archive, its own offsets lead elsewhere than Python goes."""
    foreign = io.BytesIO()
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("archive/models/model.json", b"code")
    content = files["pt2"].replace(MARK + check_seal(files["pt2"], "").encode(), UNSEALED.encode())
    both = sealed(foreign.getvalue() + content)
    with pytest.raises(RuntimeError):
        torch.export.load(io.BytesIO(both))
    raw = raw_rows("table")
    np.testing.assert_array_equal(
        _open("pt2", both).outputs(raw), _open("pt2", files["pt2"]).outputs(raw)
    )


def test_entries_that_are_compressed_are_refused(files: dict[str, bytes]) -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(files["pt2"])) as archive,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in archive.namelist():
            new.writestr(name, archive.read(name))
    with pytest.raises(UsageError, match="is compressed"):
        checked_pt2(out.getvalue(), "model.pt2")

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import UsageError
from hpo.files import (
    LARGEST_BYTES,
    dump_json,
    dump_yaml,
    parse_document,
    parse_value,
    read_document,
    write_json,
    write_text,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def _same(one: Any, other: Any) -> bool:
    """Equal, types included: JSON tells 1 from 1.0 and from true."""
    return json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("", None),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1.", 1.0),
        ("'1'", "1"),
        ("{low: 1, high: 4}", {"low": 1, "high": 4}),
    ],
)
def test_yaml_is_read_as_version_1_2(text: str, value: Any) -> None:
    assert _same(parse_value(text), value)


def test_every_value_knows_its_line() -> None:
    text = "name: a\nmodel:\n  family: mlp\n  width: {low: 1,\n    high: 4}\nlist:\n- 1\n- 2\n"
    document = parse_document(text, "a.yaml")
    assert document.where(("name",)) == "a.yaml:1"
    assert document.where(("model", "width")) == "a.yaml:4"
    assert document.where(("model", "width", "high")) == "a.yaml:5"
    assert document.where(("list", "1")) == "a.yaml:8"


def test_a_path_that_is_not_in_the_file_is_where_its_parent_is() -> None:
    document = parse_document("a: 1\nmodel: {family: mlp}\n", "a.yaml")
    assert document.where(("model", "width", "low")) == "a.yaml:2"
    assert document.where(("trainer",)) == "a.yaml"
    assert document.where(()) == "a.yaml"


def test_a_value_below_an_alias_is_where_the_anchor_is() -> None:
    document = parse_document("a: &x\n  low: 1\nb: *x\n", "a.yaml")
    assert document.values["b"] == {"low": 1}
    assert document.where(("b", "low")) == "a.yaml:2"


def test_a_merged_mapping_is_read() -> None:
    document = parse_document("a: &x {low: 1}\nb: {<<: *x, high: 2}\n", "a.yaml")
    assert document.values["b"] == {"low": 1, "high": 2}
    assert document.where(("b", "low")) == "a.yaml:2"


def test_json_is_read_with_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n\t"name": "a",\n\t"b": [1e-3, null, "x\\/y"]\n}\n')
    document = read_document(path)
    assert document.values == {"name": "a", "b": [0.001, None, "x/y"]}
    assert document.where(("b", "1")) == f"{path}:3"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\r\nb: 2\r\n")
    document = read_document(path)
    assert document.values == {"name": "a", "b": 2}
    assert document.where(("b",)) == f"{path}:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", 'f:3: found duplicate key "a"'),
        ("m:\n  a: 1\n  a: 2", 'f:3: found duplicate key "a"'),
        ("a: 1\nb: {c", "f:2: "),
        ("a: 1\n---\nb: 2", "f:2: but found another document"),
        ("a: *x", "f:1: found undefined alias"),
        ("{a: 1}: 1", "f:1: found unhashable key"),
        ("", "f: is not a mapping of names; write 'key: value' lines"),
        ("- 1", "f: is not a mapping of names"),
        ("1: 2", "f: is not a mapping of names"),
        ("a: \0", "f: unacceptable character #x0000"),
        ("a: 1\nb: !!float 1", "f:2: has the tag tag:yaml.org,2002:float; write plain values"),
        ("a: 1\nb: !mine {c: 1}", "f:2: has the tag !mine; write plain values, no tags"),
        ("%YAML 1.1\n---\na: no", "asks for another YAML than 1.2; remove the %YAML line"),
        ("a: " + "9" * 5000, "f: Exceeds the limit (4300 digits)"),
        ("a: " + "[" * 200 + "]" * 200, "f: nested too deeply; flatten it"),
        ("a: &x {b: *x}", "f: nested too deeply; flatten it"),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_document(text, "f")
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere.yaml: no such file; check the path"):
        read_document(tmp_path / "nowhere.yaml")


def test_a_folder_is_no_study_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; name a YAML or JSON file"):
        read_document(tmp_path)


def test_a_file_that_the_system_will_not_open_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"File name too long; check the path"):
        read_document(tmp_path / ("a" * 600))


def test_a_file_that_is_not_utf_8_is_refused_at_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"name: \xff\n")
    with pytest.raises(UsageError, match="not UTF-8 at byte 6; save it as UTF-8"):
        read_document(path)


def test_a_file_over_the_largest_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * LARGEST_BYTES)
    with pytest.raises(UsageError, match="is too large; at most 1,000,000 bytes are read"):
        read_document(path)


@given(st.dictionaries(texts, values, max_size=3))
def test_yaml_that_is_written_reads_back_equal(written: dict[str, Any]) -> None:
    assert _same(parse_document(dump_yaml(written), "f").values, written)


@pytest.mark.parametrize(
    "text", ["no", "1e-3", "null", "?x", "\x85", "- a", "#", " a ", "a: b", "="]
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert parse_document(dump_yaml({"a": text, text: 1}), "f").values == {"a": text, text: 1}


def test_written_yaml_keeps_the_order_of_its_keys() -> None:
    assert dump_yaml({"name": "a", "budget": {"trials": 2}}) == "name: a\nbudget: {trials: 2}\n"


def test_text_is_written_whole_and_without_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    write_text(path, "new ×\n")
    assert path.read_text(encoding="utf-8") == "new ×\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_reader_that_holds_the_old_file_never_sees_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"


def test_json_is_written_readable_and_strict(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"ü": [1, 2.5]})
    assert path.read_text(encoding="utf-8") == '{\n  "ü": [\n    1,\n    2.5\n  ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_json(float("nan"))


def test_a_path_with_a_nul_is_no_path() -> None:
    with pytest.raises(UsageError, match="is no path; check the path"):
        read_document(Path("a\0b"))

"""Rows A2 and A3 of the abuse matrix: hostile study files, and names that would become paths."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import HpoError, SpecError, UsageError
from hpo.files import parse_document
from hpo.spec import check_document, load_study

GOOD = """\
name: tiny
task: {kind: multiclass}
data: {source: digits}
model: {family: mlp, width: {low: 8, high: 16}}
"""
LIMIT_S = 10.0
"""Far above what any of these takes (2 s at most), far below what they would take unchecked."""


@pytest.fixture
def nothing_imported() -> Iterator[None]:
    load_study(parse_document(GOOD, "").values)
    before = set(sys.modules)
    yield
    assert set(sys.modules) == before


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_document(parse_document(text, "bad.yaml"))
    return str(caught.value)


@pytest.mark.usefixtures("nothing_imported")
@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch SENTINEL']",
        "!!python/object/new:os.system ['touch SENTINEL']",
        "!!python/name:os.system",
        "!!python/module:antigravity",
        "!!python/tuple [1, 2]",
        "!<tag:yaml.org,2002:python/name:os.system>",
        "!include /etc/passwd",
        "!!binary aGk=",
        "!!set {a, b}",
    ],
)
@pytest.mark.parametrize("where", ["trainer:\n  threads: ", "? ", "plugin: &x "])
def test_a_tag_runs_nothing_and_is_refused_at_its_line(
    tag: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = 5 + where.count("\n")
    assert refused(f"{GOOD}{where}{tag}\n").startswith(f"bad.yaml:{line}: has the tag ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nothing_imported")
@pytest.mark.parametrize(
    "value",
    ["__import__('os').system('id')", "${oc.env:HOME}", "{{ 1 + 1 }}", "os.system", "antigravity"],
)
@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("model: {family: VALUE}", "model.family"),
        ("optimizer: {name: VALUE}", "optimizer.name"),
        ("optimizer: {name: sgd, lr: VALUE}", "optimizer.lr"),
        ("search: {sampler: VALUE}", "search.sampler"),
        ("objective: {metric: VALUE}", "objective.metric"),
    ],
)
def test_code_in_a_value_stays_text_and_is_refused(section: str, path: str, value: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(section.split(":")[0])]
    text = "\n".join([*lines, section.replace("VALUE", f'"{value}"')])
    assert refused(text).startswith(f"bad.yaml:{len(lines) + 1}: {path}: ")


@pytest.mark.usefixtures("nothing_imported")
@pytest.mark.parametrize("key", ["plugin", "plugins", "import", "callbacks", "_target_"])
def test_a_study_file_cannot_name_a_plugin(key: str) -> None:
    assert refused(f"{GOOD}{key}: antigravity\n").startswith(f"bad.yaml:5: {key}: unknown key; ")


def _bomb(levels: int, width: int) -> str:
    lines = [f"a0: &a0 [{', '.join('x' * width)}]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_bomb(9, 9), "more than 20,000 values; an alias counts each time"),
        ("a: &a {b: *a}", "nested too deeply; flatten it"),
        ("a: [" + "1," * 400_000 + "1]", "more than 20,000 values"),
        ("".join(f"k{i}: 1\n" for i in range(80_000)), "more than 20,000 values"),
        ("a: " + "[" * 400_000, "nested too deeply; flatten it"),
        ("a: " + "{a: " * 5000 + "}" * 5000, "nested too deeply; flatten it"),
        ("".join(f"{' ' * i}k:\n" for i in range(1000)), "nested too deeply; flatten it"),
        ("a: " + "9" * 100_000, "Exceeds the limit (4300 digits)"),
    ],
    ids=["aliases", "self", "list", "keys", "flow", "maps", "indent", "digits"],
)
def test_a_bomb_is_refused_in_bounded_time(text: str, message: str) -> None:
    begun = time.monotonic()
    assert message in refused(text)
    assert time.monotonic() - begun < LIMIT_S


def test_ten_megabytes_are_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text(GOOD + "# \n" * 3_500_000)
    begun = time.monotonic()
    with pytest.raises(UsageError, match="is too large; at most 1,000,000 bytes are read"):
        load_study(path)
    assert time.monotonic() - begun < LIMIT_S


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(UsageError, match="is too large"):
        load_study("/dev/zero")


@pytest.mark.parametrize(
    "model",
    [
        {"family": "mlp", "layers": {"length": {"low": 1, "high": 10**9}, "each": 8}},
        {"family": "mlp", "layers": {"length": 10**9, "each": 8}},
        {
            "family": "mlp",
            "layers": {
                "length": {"choices": list(range(64))},
                "each": {"choices": [*range(1, 2000), -1]},
            },
        },
        {"one_of": {"mlp": {"width": {"choices": [*range(1, 3000), -1]}}, "cnn": None}},
    ],
    ids=["length", "fixed", "product", "branches"],
)
def test_a_huge_space_is_checked_in_bounded_time(model: dict[str, Any]) -> None:
    values = {**parse_document(GOOD, "").values, "model": model}
    begun = time.monotonic()
    with pytest.raises(SpecError, match=r"study: model\."):
        load_study(values)
    assert time.monotonic() - begun < LIMIT_S


def test_a_huge_grid_is_refused_in_bounded_time() -> None:
    values = parse_document(GOOD, "").values
    begun = time.monotonic()
    with pytest.raises(SpecError, match="the grid has more than 100,000 points"):
        load_study(values, ["search.sampler=grid", "model.width.high=1000000000000"])
    assert time.monotonic() - begun < LIMIT_S


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("name: a", 'bad.yaml:5: found duplicate key "name"'),
        ("optimizer: {lr: 1, lr: 2}", 'bad.yaml:5: found duplicate key "lr"'),
        ("optimizer: {name: sgd, lr: .nan}", "bad.yaml:5: optimizer.lr: nan is no number"),
        ("optimizer: {name: sgd, lr: {low: .nan, high: 1}}", "optimizer.lr: low is nan"),
        ("optimizer: {name: sgd, lr: {low: 0, high: .inf}}", "optimizer.lr: high is inf"),
        ("optimizer: {name: sgd, lr: {choices: [-.inf]}}", "optimizer.lr: -inf is no number"),
        ("optimizer: {name: sgd, lr: {low: 1, high: 0}}", "optimizer.lr: low 1 > high 0"),
        ("optimizer: {name: sgd, lr: {low: 0, high: 1, log: true}}", "log needs low > 0, got 0"),
        ("optimizer: {name: sgd, lr: {low: 1, high: 1" + "0" * 400 + "}}", "bounds are finite"),
        ("optimizer: {1: 2}", "bad.yaml:5: optimizer: the key 1 is no text; quote it"),
        ("optimizer: {one_of: {true: {}}}", "optimizer: the key True is no text; quote it"),
        ("? [a]\n: 1", "is not a mapping of names"),
        ("optimizer: 'a\0b'", "special characters are not allowed"),
        ("budget: {time: 1e9}", "bad.yaml:5: budget.time: 1000000000.0 does not fit"),
        ("data: 5", 'found duplicate key "data"'),
    ],
)
def test_a_broken_value_is_refused_at_its_line(line: str, message: str) -> None:
    assert message in refused(f"{GOOD}{line}\n")


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                "low high log step choices one_of length each "
                "family name mlp sgd width layers lr kind x".split()
            )
            | st.integers(0, 1),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(st.sampled_from(["task", "data", "model", "optimizer", "trainer", "budget", "search"]), junk)
def test_junk_is_accepted_or_refused_but_nothing_else_is_raised(section: str, value: Any) -> None:
    values = {**parse_document(GOOD, "").values, section: value}
    with contextlib.suppress(HpoError):
        spec = load_study(values)
        assert spec.space.parameters()


@given(
    st.lists(st.sampled_from(["model", "mlp", "width", "low", "0", "one_of", "x", ""]), max_size=4),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["mlp", "{}"]),
)
def test_junk_in_an_override_is_accepted_or_refused(keys: list[str], text: str) -> None:
    values = {
        **parse_document(GOOD, "").values,
        "optimizer": {"one_of": {"sgd": None, "adam": {"lr": {"low": 1e-3, "high": 1}}}},
    }
    for root in ("model", "optimizer", "trainer"):
        with contextlib.suppress(HpoError):
            load_study(values, [f"{'.'.join([root, *keys])}={text}"])


NAMES = [
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "/etc",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\n",
    " a",
    "a ",
    "a b",
    "a.",
    ".hidden",
    "-rf",
    "_a",
    "~",
    "a" * 65,
    "a" * 600,
    "CON",
    "con",
    "nul",
    "aux",
    "reference",
    "Reference",
    "README.md",
    "storage.sqlite",
    "storage.sqlite-wal",
    "\u202eabc",  # right to left
    "\u0430dam",  # a Cyrillic a
    "ad\u200bam",  # a space without width
    "\uff0e\uff0e",  # wide dots
    "<script>",
    "=HYPERLINK()",
    "a%2e%2e",
    "a:b",
    "a*",
    "$(id)",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_that_cannot_safely_name_a_folder_is_refused_with_the_rule(name: str) -> None:
    values = {**parse_document(GOOD, "").values, "name": name}
    rule = "cannot name a folder; 1 to 64 letters, digits, '.', '_' or '-', beginning with"
    with pytest.raises(SpecError) as caught:
        load_study(values)
    assert str(caught.value).startswith("study: name: ")
    assert rule in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "name", ["a", "A1", "digits-mlp", "a.b_c-d", "0", "a" * 64, "con1", "a..b"]
)
def test_a_plain_name_is_accepted(name: str) -> None:
    assert load_study({**parse_document(GOOD, "").values, "name": name}).name == name


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_name_that_is_accepted_stays_one_plain_part_of_a_path(name: str) -> None:
    try:
        spec = load_study({**parse_document(GOOD, "").values, "name": name})
    except SpecError:
        return
    assert (Path("root") / spec.name).parts == ("root", name)
    assert name.isascii()
    assert name.isprintable()


@pytest.mark.parametrize("name", ["../x", "a b", "\u202e"])
def test_the_name_of_a_file_is_checked_like_any_other(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "a 'b' c"
    folder.mkdir()
    path = folder / f"{name.replace('/', '')[:3]} .yaml"
    path.write_text(GOOD.replace("name: tiny\n", ""))
    with pytest.raises(SpecError, match="cannot name a folder"):
        load_study(path)
    with pytest.raises(SpecError, match="cannot name a folder"):
        load_study(path, [f'name="{name}"'])


@pytest.mark.parametrize("name", ["../../x", "a/b", "a\0b", "low", "..", "\u202ex"])
@pytest.mark.parametrize("section", ["model", "optimizer"])
def test_a_branch_or_setting_with_a_hostile_name_is_unknown(section: str, name: str) -> None:
    values = parse_document(GOOD, "").values
    with pytest.raises(SpecError):
        load_study({**values, section: {"one_of": {name: {"lr": 1}}}})
    with pytest.raises(SpecError):
        load_study({**values, "trainer": {name: {"choices": [1, 2]}}})


def test_half_a_character_is_refused() -> None:
    text = GOOD.replace("{source: digits}", '{source: csv, target: y, path: "\\ud83d"}')
    assert refused(text).startswith("bad.yaml:3: holds half a character; save it as UTF-8")

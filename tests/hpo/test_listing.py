import json
import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import StudyError, UsageError
from hpo.files import parse_document
from hpo.layout import StudyFolder
from hpo.listing import (
    curve,
    differing,
    find_trial,
    flat,
    list_studies,
    load_best,
    pick,
    render,
    top_trials,
)
from hpo.spec import override_document
from lightning_modules.config import RunConfig

KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\x85"))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.lists(st.integers(0, 300) | TEXTS, max_size=3)
)
CONFIGS = st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES), min_size=1, max_size=4)


def test_every_study_of_the_folder_has_a_line(finished) -> None:
    (line,) = list_studies(finished.results)
    best = finished.outcome.best
    assert (line.name, line.metric, line.direction) == ("tiny", "accuracy", "maximize")
    assert line.trials == {"complete": 3, "pruned": 3, "failed": 1}
    assert (line.best, line.default) == (best.metric["value"], finished.records[0].value)
    assert line.seconds == sum(record.seconds for record in finished.records)


def test_a_study_without_a_best_config_is_listed_too(copied) -> None:
    copied.best_config.unlink()
    (line,) = list_studies(copied.path.parent)
    assert (line.metric, line.direction, line.best) == (None, None, None)


def test_a_damaged_record_hides_neither_its_study_nor_others(copied, finished) -> None:
    other = copied.path.with_name("whole")
    shutil.copytree(copied.path, other)
    (copied.trial(0) / "result.json").write_text('{"schema": "hpo.tri')
    copied.best_config.write_bytes(b"\xff")
    damaged, whole = list_studies(copied.path.parent)
    assert (damaged.name, whole.name) == ("tiny", "whole")
    assert sum(damaged.trials.values()) == sum(whole.trials.values()) - 1 == 6
    assert damaged.best is None
    assert whole.best is not None
    assert damaged.damaged == [
        f"{copied.trial(0) / 'result.json'}: is damaged: no JSON",
        f"{copied.best_config}: is damaged: no JSON",
    ]
    assert whole.damaged == []


def test_no_folder_means_no_study(tmp_path) -> None:
    assert list_studies(tmp_path / "nowhere") == []


def test_a_best_config_that_is_gone_is_no_study_without_a_result(copied) -> None:
    copied.best_config.unlink()
    with pytest.raises(StudyError, match=r"best_config\.json is gone; hpo run .* writes it again"):
        load_best(copied)


def test_a_study_without_a_complete_trial_has_no_best(copied) -> None:
    copied.best_config.unlink()
    for trial in copied.trial_folders():
        (trial / "result.json").unlink(missing_ok=True)
    with pytest.raises(StudyError, match=r"tiny: no trial is complete yet; hpo run .*study.yaml"):
        load_best(copied)


def test_the_best_trials_are_complete_and_in_order(finished) -> None:
    top = top_trials(finished.folder, 3)
    values = [record.value for record in top]
    assert [record.state for record in top] == ["complete"] * 3
    assert values == sorted(values, reverse=True)
    assert top[0].number == finished.outcome.best.study["trial"]


def test_there_are_no_more_best_trials_than_complete_ones(finished) -> None:
    assert len(top_trials(finished.folder, 100)) == 3


def test_a_value_is_picked_by_its_path() -> None:
    config = {"model": {"family": "mlp", "layers": [1, 2]}, "seed": 3}
    assert pick(config, "model.layers") == [1, 2]
    assert pick(config, "model") == config["model"]


def test_a_default_that_records_leave_out_is_picked_all_the_same(finished) -> None:
    config = load_best(finished.folder).config
    assert "tokens" not in config["data"]["prepare"]
    assert pick(config, "data.prepare.tokens") == "words"
    assert pick(config, "data.prepare.pca") is None
    with pytest.raises(UsageError, match=r"no 'tokesn' in the config"):
        pick(config, "data.prepare.tokesn")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model.widht", r"^model.widht: no 'widht' in the config; did you mean 'width'\?$"),
        ("modle", r"^modle: no 'modle' in the config; did you mean 'model'\?$"),
        ("seed.x", r"^seed.x: no 'x' in the config; nothing lies below 3$"),
        ("", r"^no '' in the config; known: model, seed$"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pick({"model": {"family": "mlp", "width": 8}, "seed": 3}, path)


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--as: no form 'ymal'; did you mean 'yaml'"):
        render({}, "ymal")


@given(CONFIGS)
def test_a_config_survives_json_yaml_and_python(config: dict[str, Any]) -> None:
    assert json.loads(render(config, "json")) == config
    assert parse_document(render(config, "yaml"), "x").values == config
    scope: dict[str, Any] = {}
    exec(render(config, "python"), scope)
    assert scope["config"] == config


@given(CONFIGS)
def test_a_config_survives_the_shell_as_flags(config: dict[str, Any]) -> None:
    words = shlex.split(render(config, "flags"))
    assert set(words[::2]) == {"--set"}
    document = parse_document("{}", "x")
    for override in words[1::2]:
        document = override_document(document, override)
    assert document.values == config


def test_the_flags_of_a_best_config_pass_a_real_shell_and_give_it_again(finished) -> None:
    best = finished.outcome.best.config
    flags = render({**best, "model": {**best["model"], "layers": None}}, "flags").strip()
    program = f"{shlex.quote(sys.executable)} -c 'import sys; print(*sys.argv[2::2], sep=chr(0))'"
    done = subprocess.run(
        ["sh", "-c", f"{program} {flags}"], capture_output=True, text=True, check=True
    )
    document = parse_document("{}", "x")
    for override in done.stdout.removesuffix("\n").split("\0"):
        document = override_document(document, override)
    assert RunConfig.model_validate(document.values).plain() == best


@given(CONFIGS)
def test_flat_paths_pick_their_values(config: dict[str, Any]) -> None:
    for path, value in flat(config).items():
        assert pick(config, path) == value


def test_a_trial_is_found_by_its_number(finished) -> None:
    assert find_trial(finished.folder, 4).state == "failed"


def test_a_trial_that_did_not_end_is_not_found(finished) -> None:
    with pytest.raises(UsageError, match=r"^tiny: no trial 7 that ended; ended: 0 to 6$"):
        find_trial(finished.folder, 7)


def test_a_study_without_trials_says_so(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"^new: no trial 0 that ended; ended: none$"):
        find_trial(StudyFolder(tmp_path / "new"), 0)


def test_only_what_differs_is_compared(finished) -> None:
    first, second = finished.records[0], finished.records[4]
    rows = dict(differing([first, second]))
    assert rows["optimizer.name"] == ["adamw", "sgd"]
    assert rows["optimizer.momentum"] == [None, second.config["optimizer"]["momentum"]]
    assert "data.source" not in rows
    assert differing([first, first]) == []


def test_a_curve_has_a_value_for_each_validation(finished) -> None:
    for record in finished.records:
        if record.run is not None:
            values = curve(finished.folder, record.number)
            assert len(values) == record.run.validations
            assert max(values) == record.value


def test_a_trial_without_a_curve_has_an_empty_one(tmp_path) -> None:
    assert curve(StudyFolder(tmp_path), 0) == []


def test_the_best_config_stands_beside_the_default_in_what_differs(cli, finished) -> None:
    best = finished.outcome.best
    said = cli("best", "tiny", "--diff", "--results", finished.results)
    heading, value, *settings = [line.split("  ") for line in said.out.splitlines()]
    assert [cell.strip() for cell in heading if cell] == [
        "setting",
        "default mlp (trial 0)",
        f"best (trial {best.study['trial']})",
    ]
    default = f"{finished.records[0].value:.4f}"
    assert [cell.strip() for cell in value if cell] == [
        "accuracy",
        default,
        f"{best.metric['value']:.4f}",
    ]
    names = [line[0] for line in settings]
    assert {"model.width", "optimizer.lr", "seed"} <= set(names)
    assert "trainer.max_epochs" not in names
    assert said.err == "next: hpo evaluate tiny --seeds 5     is the difference luck?\n"


def test_the_best_configs_of_two_studies_stand_side_by_side(cli, copied: StudyFolder) -> None:
    results = copied.path.parent
    shutil.copytree(copied.path, results / "other")
    other = json.loads((results / "other" / "best_config.json").read_text())
    other["config"]["optimizer"] = {"name": "sgd", "lr": 0.5}
    other["data"]["split_sha256"] = "0" * 64
    (results / "other" / "best_config.json").write_text(json.dumps(other))
    said = cli("best", "tiny", "--diff", "other", "--results", results)
    assert said.out.splitlines()[0].split() == ["setting", "tiny", "other"]
    assert "optimizer.beta1" in said.out
    assert [line.split()[2] for line in said.out.splitlines() if "beta1" in line] == ["–"]
    assert said.err.splitlines() == [
        "warning: the values are not comparable: another split",
        "next: hpo compare tiny other     which is better, and how sure is that?",
    ]
    found = json.loads(cli("best", "tiny", "other", "--diff", "--json", "--results", results).out)
    assert [side["label"] for side in found["result"]["sides"]] == ["tiny", "other"]
    assert found["result"]["not_comparable"] == ["another split"]
    rates = {one["setting"]: one["values"] for one in found["result"]["settings"]}
    assert rates["optimizer.lr"][1] == 0.5


def test_a_difference_needs_something_to_differ_from(cli, copied: StudyFolder) -> None:
    results = copied.path.parent
    for options, what in {
        ("tiny", "other"): "OTHER is for --diff alone; hpo best tiny --diff other",
        ("tiny", "--diff", "--path"): "--diff prints no other form; hpo best tiny --diff",
        ("tiny", "--diff", "tinny"): "no study 'tinny' in ",
    }.items():
        said = cli("best", *options, "--results", results)
        assert (said.code, said.out) == (2, "")
        assert what in said.err
    best = json.loads(copied.best_config.read_text())
    best["study"]["trial"] = 0
    copied.best_config.write_text(json.dumps(best))
    said = cli("best", "tiny", "--diff", "--results", results)
    assert said.err == "tiny: the default config, trial 0, is the best; hpo best tiny shows it\n"


HEAVY = (
    "torch",
    "pytorch_lightning",
    "optuna",
    "numpy",
    "pandas",
    "hpo.figures",
    "hpo.space",
    "hpo.spec",
    "hpo.study",
    "lightning_modules.config",
    "lightning_modules.data.config",
    "lightning_modules.families",
    "lightning_modules.task",
)
"""What would make who only looks wait: none of it is needed to read records."""


@pytest.mark.parametrize("arguments", [["best", "tiny"], ["list"], ["best", "tiny", "--json"]])
def test_looking_at_studies_loads_only_what_reads_records(finished, arguments: list[str]) -> None:
    words = ["hpo", *arguments, "--results", str(finished.results)]
    program = (
        f"import sys; sys.argv = {words!r}\n"
        "from hpo.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print('loaded', sorted({{*{HEAVY!r}}} & {{*sys.modules}}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "loaded []"

import csv
import fcntl
import json
import re
import socket
from pathlib import Path

import pytest

from hpo.cli import VERBS
from hpo.files import parse_document
from hpo.layout import LOCK
from hpo.spec import load_study, shipped_studies
from lightning_modules.families import FAMILIES

TABLE = "size,colour,kind\n" + "".join(
    f"{n % 7}.{n % 3},{'red' if n % 2 else 'blue'},{'ab'[n % 2]}\n" for n in range(60)
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("HPO_RESULTS", raising=False)
    monkeypatch.delenv("HPO_STORAGE", raising=False)


RUN = ("run", "smoke", "--workers", 0)


def told(err: str) -> list[str]:
    return [line for line in err.splitlines() if line != "loading torch…"]


# What is looked at: the answer alone on standard output, the exit code 0.


def test_best_prints_summary_and_searched_settings(cli, finished) -> None:
    said = cli("best", "tiny", "--results", finished.results)
    assert said.code == 0
    assert said.out.splitlines()[0] == finished.outcome.best.summary
    assert said.err.startswith("next: hpo train ")


def test_a_study_is_named_by_its_folder_too(cli, finished) -> None:
    path, name = cli("best", finished.folder.path, "--path"), finished.folder.best_config
    assert (path.code, path.out, path.err) == (0, f"{name}\n", "")


def test_the_results_folder_can_be_an_environment_variable(cli, finished, monkeypatch) -> None:
    monkeypatch.setenv("HPO_RESULTS", str(finished.results))
    assert cli("best", "tiny", "--path").out == f"{finished.folder.best_config}\n"


def test_best_gives_one_value_as_json(cli, finished) -> None:
    said = cli("best", "tiny", "--get", "optimizer", "--results", finished.results)
    assert json.loads(said.out) == finished.outcome.best.config["optimizer"]
    assert said.err == ""


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_best_gives_the_config_in_a_form_that_train_reads(cli, finished, form: str) -> None:
    said = cli("best", "tiny", "--as", form, "--results", finished.results)
    assert parse_document(said.out, "x").values == finished.outcome.best.config
    Path(f"best.{form}").write_text(said.out)
    assert cli("train", f"best.{form}", "-o", "run").code == 0


def test_best_lists_the_top_trials(cli, finished) -> None:
    said = cli("best", "tiny", "--top", 2, "--results", finished.results)
    assert [line.split()[:2] for line in said.out.splitlines()] == [
        ["#", "trial"],
        ["1", "1"],
        ["2", "3"],
    ]


def test_list_shows_every_study(cli, finished) -> None:
    said = cli("list", "--results", finished.results)
    assert said.out.splitlines()[1].startswith("tiny   3  3  1  accuracy ↑  0.9333  0.4667")


def test_without_a_study_list_says_what_makes_one(cli) -> None:
    said = cli("list")
    assert (said.code, said.out) == (0, "")
    assert said.err == "no study in results/; next: hpo run quickstart\n"
    assert json.loads(cli("list", "--json").out)["result"] == []


def test_show_prints_each_trial(cli, finished) -> None:
    said = cli("show", "tiny", 0, 4, "--results", finished.results)
    heads = [line for line in said.out.splitlines() if not line.startswith(" ")]
    assert [head.split("  ")[1] for head in heads] == ["✓ complete", "✗ failed"]


def test_show_compares_trials(cli, finished) -> None:
    said = cli("show", "tiny", 0, 4, "--diff", "--results", finished.results)
    assert ["optimizer.name", "adamw", "sgd"] in [line.split() for line in said.out.splitlines()]


def test_families_and_spaces_list_everything(cli) -> None:
    lines = cli("families").out.splitlines()
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == list(FAMILIES)
    assert max(map(len, lines)) <= 80
    names = [line.split()[0] for line in cli("spaces").out.splitlines()[1:]]
    assert names == list(shipped_studies())


def test_a_shipped_study_is_printed_as_it_is(cli) -> None:
    assert cli("spaces", "smoke").out == shipped_studies()["smoke"].read_text(encoding="utf-8")


def test_schema_prints_json(cli) -> None:
    assert json.loads(cli("schema").out)["title"] == "hpo study file"


def test_help_is_an_answer(cli) -> None:
    for arguments in (["--help"], ["-h"], ["run", "--help"]):
        said = cli(*arguments)
        assert (said.code, said.err) == (0, "")
        assert "Usage: hpo" in said.out


def test_the_version_is_an_answer(cli) -> None:
    assert re.fullmatch(r"hpo \d+\.\d+\.\d+\n", cli("--version").out)


def test_help_says_what_verbs_are_for_and_cuts_no_sentence(cli) -> None:
    said = cli("--help").out
    titles = [line[:-1] for line in said.splitlines() if line.endswith(":") and line[0] != " "]
    assert titles == ["Options", *VERBS]
    names = re.findall(r"^  ([a-z]+) +[A-Z]", said, re.MULTILINE)
    assert len(names) == len(set(names)) == sum(map(len, VERBS.values())) + 1
    assert "…" not in said
    assert "..." not in said.replace("[ARGS]...", "")


# The way of a study, in this process.


def test_a_study_is_run_resumed_and_left_alone(cli) -> None:
    first = cli("run", "smoke", "--trials", 2, "--workers", 1, "--plain")
    assert (first.code, first.out) == (0, "results/smoke/best_config.json\n")
    assert "study smoke: 2 trials, mlp on iris, seed 0 → results/smoke" in first.err
    assert told(first.err)[-1].strip().startswith("hpo dashboard")
    second = cli(*RUN, "--trials", 3)
    assert "1 trial in " in second.err
    assert ", 3 in all: " in second.err
    before = Path("results/smoke/best_config.json").read_bytes()
    third = cli(*RUN, "--trials", 3, "--quiet")
    assert (third.code, third.out, third.err) == (0, "results/smoke/best_config.json\n", "")
    assert Path("results/smoke/best_config.json").read_bytes() == before
    assert "nothing to do" in cli("run", "smoke").err


def test_shorthands_are_overrides(cli) -> None:
    said = cli(*RUN, "--name", "other", "--trials", 1, "--seed", 7, "--time", "5m", "--quiet")
    assert said.out == "results/other/best_config.json\n"
    spec = load_study("results/other/study.yaml")
    assert (spec.name, spec.search.seed, spec.budget.trials) == ("other", 7, 1)
    assert spec.budget.time_s == 300


def test_run_in_json_holds_the_best_config(cli) -> None:
    said = cli(*RUN, "--trials", 1, "--json")
    told = json.loads(said.out)
    assert (said.code, told["ok"], told["command"]) == (0, True, "run")
    path = told["result"]["path"]
    assert told["result"]["best"] == json.loads(Path(path).read_text())


def test_events_on_standard_output_are_alone_there(cli) -> None:
    said = cli(*RUN, "--trials", 1, "--events", "-")
    names = [json.loads(line)["event"] for line in said.out.splitlines()]
    assert (names[0], names[-1]) == ("study_started", "study_finished")


def test_check_tries_and_creates_nothing(cli) -> None:
    said = cli("check", "smoke")
    assert said.code == 0
    assert said.out.startswith("study smoke: 3 dimensions\n")
    assert told(said.err) == ["next: hpo run smoke"]
    result = json.loads(cli("check", "smoke", "--json").out)["result"]
    assert [one["family"] for one in result["families"]] == ["mlp"]
    assert len(result["samples"]) == 3
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("registries")
def test_check_names_the_command_with_what_it_was_given(cli) -> None:
    Path("my code.py").write_text("")
    said = cli("check", "smoke", "--set", "budget.trials=3", "--plugin", "my code.py")
    again = "next: hpo run smoke --set budget.trials=3 --plugin 'my code.py'"
    assert told(said.err) == [again]


def test_train_says_that_the_value_is_the_recorded_one(cli, finished) -> None:
    said = cli("train", finished.folder.best_config, "-o", "run")
    assert (said.code, said.out) == (0, "run\n")
    assert told(said.err)[-1].endswith(": equal, bit for bit")
    result = json.loads(cli("train", finished.folder.best_config, "-o", "b", "--json").out)
    assert result["result"]["recorded"] == result["result"]["value"]


def test_a_seed_for_train_is_an_override(cli, finished) -> None:
    said = cli("train", finished.folder.best_config, "--seed", 5, "-o", "run", "--json")
    assert json.loads(said.out)["result"]["recorded"] is None
    assert json.loads(Path("run/config.json").read_text())["seed"] == 5


def test_evaluate_counts_openings_of_the_test_split(cli, copied) -> None:
    best = json.loads(copied.best_config.read_text())
    first = (
        f"trial {best['study']['trial']} on validation: accuracy {best['metric']['value']:.4f}, "
    )
    assert cli("evaluate", copied.path).out.startswith(first)
    assert json.loads(cli("evaluate", copied.path, "--test", "--json").out)["result"]["opened"] == 1
    assert "opened 2 times" in cli("evaluate", copied.path, "--test").out


def test_evaluate_says_everything_and_where_it_stands(cli, copied) -> None:
    said = cli("evaluate", copied.path).out
    assert re.search(r"^accuracy ↑ +0\.\d{4} +0\.\d{4} to \S+$", said, re.MULTILINE)
    assert re.search(r"^virginica( +[01]\.\d+){3} +\d+$", said, re.MULTILINE)
    file = copied.evaluated("validation")
    assert f"\n{file}; beside it validation-confusion.svg, validation-roc.svg, " in said
    printed = json.loads(cli("evaluate", copied.path, "--json").out)["result"]
    record = json.loads(file.read_text())
    assert {**printed, "created_utc": ""} == {**record, "created_utc": ""}
    assert {"confusion", "per_class", "roc", "pr", "reliability", "ci95"} <= set(record)


def test_threads_are_those_of_every_trial(cli, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli(*RUN, "--trials", 1, "--threads", 2, "--quiet").code == 0
    record = json.loads(Path("results/smoke/best_config.json").read_text())
    assert record["config"]["trainer"]["threads"] == 2


def test_init_check_run_predict_lead_from_a_table_to_predictions(cli) -> None:
    Path("t.csv").write_text(TABLE)
    assert cli("init", "t.csv", "--target", "kind").out == "study.yaml\n"
    said = cli("run", "--workers", 0, "--trials", 1, "--set", "trainer.max_epochs=1", "--quiet")
    best = Path(said.out.strip())
    assert said.code == 0
    written = cli("predict", best, "t.csv", "-o", "p.csv")
    assert (written.code, written.out) == (0, "")
    printed = cli("predict", best, "t.csv", "--probabilities")
    rows = list(csv.reader(printed.out.splitlines()))
    assert rows[0] == ["prediction", "p_a", "p_b"]
    assert len(rows) == 61
    assert [row[0] for row in rows] == Path("p.csv").read_text().split()


# What goes wrong: one line, the right code, nothing created.

ERRORS = [
    (["run", "nothing.yaml"], 2, r"nothing.yaml: no such file; shipped studies: cnn, .*mlp, "),
    (["run", "smok"], 2, r"smok: no study file; did you mean 'smoke'\?"),
    (["run"], 2, r"study.yaml: no such file; shipped studies: "),
    (["check", "nothing.yaml"], 2, r"nothing.yaml: no such file; shipped studies: "),
    (
        ["run", "smoke", "--set", "trainer.max_epoch=3"],
        2,
        r"--set trainer.max_epoch=3: trainer.max_epoch: unknown key; did you mean 'max_epochs'\?",
    ),
    (["run", "smoke", "--set", "trainer"], 2, r"--set trainer: has no '='|--set .*="),
    (["run", "smoke", "--time", "soon"], 2, r".*budget.time: 'soon' is no duration; write 90s"),
    (["run", "smoke", "--trials", "0"], 2, r".*budget.trials: 0 does not fit"),
    (
        ["run", "smoke", "--set", "objective.metric=rmse"],
        2,
        r".*objective.metric: multiclass has no metric 'rmse'; ",
    ),
    (
        ["run", "table", "--set", "data.path=t.csv", "--set", "data.target=knid"],
        2,
        r"t.csv: .*'knid'.*kind",
    ),
    (["init", "t.csv", "--target", "knid"], 2, r"t.csv: .*'knid'.*kind"),
    (["init", "nothing.csv"], 2, r"nothing.csv: "),
    (["init", "t.csv", "-o", "t.csv"], 2, r"t.csv: "),
    (["run", "smoke", "--plugin", "nothing_at_all"], 2, r"nothing_at_all: no such file or module"),
    (["run", "smoke", "--plugin", "nothing.py"], 2, r"nothing.py: no such plugin file"),
    (["run", "smoke", "--plugin", "broken.py"], 2, r"broken.py:2: ZeroDivisionError: "),
    (["schema", "--plugin", "syntax.py"], 2, r"syntax.py:1: SyntaxError: "),
    (["families", "--plugin", "taken.py"], 2, r"taken.py: family 'mlp' is taken; choose another"),
    (["best", "tny"], 2, r"no study 'tny' in .*results/; did you mean 'tiny'\?"),
    (["best", "tiny", "--as", "ymal"], 2, r"--as: no form 'ymal'; did you mean 'yaml'\?"),
    (["best", "tiny", "--get", "sede"], 2, r"sede: no 'sede' in the config; did you mean 'seed'"),
    (["best", "tiny", "--path", "--top", "1"], 2, r"--path, --get, --as, --top, --json exclude"),
    (["show", "tny", "0"], 2, r"no study 'tny'"),
    (["show", "tiny", "99"], 2, r"tiny: no trial 99 that ended; ended: 0 to 6"),
    (["show", "tiny", "0", "--diff"], 2, r"--diff: needs two trials or more; hpo show tiny"),
    (["evaluate", "tny"], 2, r"no study 'tny'"),
    (["train", "nothing.json"], 2, r"nothing.json: no such file; check the path"),
    (["train", "study-file.yaml"], 2, r"study-file.yaml: is a study file, not one config; hpo run"),
    (
        ["run", "smoke", "--json", "--events", "-"],
        2,
        r"--json and --events - both write the answer",
    ),
    (["run", "smoke", "--events", "no/e"], 2, r"--events: no/e: No such file or directory; a file"),
    (["spaces", "smok"], 2, r"smok: no study file; did you mean 'smoke'\?"),
    (["predict", "nothing", "t.csv"], 2, r"nothing: |.*nothing"),
    (
        ["run", "diverges.yaml", "--workers", "0", "--quiet"],
        3,
        r"diverges: the first 5 trials all failed: nan: ",
    ),
]
LOOKING = ("best", "show", "evaluate")
WITH_JSON = ("check", "run", "best", "list", "show", "train", "evaluate", "families", "spaces")


@pytest.fixture
def here(finished) -> dict[str, bytes]:
    """Files for the mistakes; returned as they are before."""
    Path("t.csv").write_text(TABLE)
    Path("broken.py").write_text("x = 1\n1 / 0\n")
    Path("syntax.py").write_text("x = (\n")
    Path("taken.py").write_text(
        "import pytorch_lightning as pl\nclass mlp(pl.LightningModule): ...\n"
    )
    Path("study-file.yaml").write_text(load_study("smoke").text())
    Path("diverges.yaml").write_text(
        load_study(
            "smoke", ["optimizer={name: sgd, lr: 1e30}", "name=diverges", "budget.trials=6"]
        ).text()
    )
    return files()


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().iterdir() if path.is_file()}


def complete(arguments: list[str], finished) -> list[object]:
    return [*arguments, *(["--results", finished.results] if arguments[0] in LOOKING else [])]


@pytest.mark.parametrize(("arguments", "code", "line"), ERRORS, ids=lambda value: str(value)[:60])
def test_a_mistake_is_one_line_and_leaves_nothing(
    cli, finished, here, registries, arguments: list[str], code: int, line: str
) -> None:
    said = cli(*complete(arguments, finished))
    if "--json" in arguments:
        said = type(said)(said.code, "", json.loads(said.out)["error"]["what"])
    assert (said.code, said.out) == (code, "")
    assert len(told(said.err)) == 1, said.err
    assert re.match(line, told(said.err)[0])
    assert "Traceback" not in said.err
    assert files() == here
    assert Path("results").exists() == (code == 3)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (a, c)
        for a, c, _ in ERRORS
        if a[0] in WITH_JSON and "--json" not in a and "--plugin" not in a
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_mistake_is_an_object_in_json(
    cli, finished, here, registries, arguments: list[str], code: int
) -> None:
    said = cli(*complete(arguments, finished), "--json")
    told = json.loads(said.out)
    assert (said.code, told["exit_code"], told["error"]["code"]) == (code, code, code)
    assert told["ok"] is False
    assert told["error"]["what"]
    assert files() == here


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["best"], "Missing argument 'STUDY'"),
        (["run", "smoke", "--sett", "a=1"], "No such option: --sett"),
        (["bset"], "No such command 'bset'"),
        (["show", "tiny", "first"], "'first'|valid integer"),
        (["dashboard", "--port", "70000"], "'--port'"),
        (["best", "tiny", "--top", "0"], "'--top'"),
    ],
)
def test_a_wrong_call_exits_2_in_words_and_in_json(cli, arguments: list[str], line: str) -> None:
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    assert re.search(line, said.err.splitlines()[-1])
    said = cli(*arguments, "--json")
    assert said.code == 2
    assert json.loads(said.out)["error"]["hint"].endswith(" --help")


def test_every_mistake_of_a_file_has_its_line(cli) -> None:
    Path("s.yaml").write_text("data: {source: irsi}\nmodel: {family: mpl}\nbudgte: {}\n")
    said = cli("run", "s.yaml")
    assert said.code == 2
    lines = told(said.err)
    assert len(lines) == 3
    assert {line.split(": ")[0] for line in lines} == {"s.yaml:1", "s.yaml:2", "s.yaml:3"}
    problems = json.loads(cli("run", "s.yaml", "--json").out)["error"]["problems"]
    assert len(problems) == 3


def test_a_study_without_a_complete_trial_exits_3(cli, copied) -> None:
    copied.best_config.unlink()
    for trial in copied.trial_folders():
        (trial / "result.json").unlink(missing_ok=True)
    for verb in ("best", "evaluate"):
        said = cli(verb, copied.path)
        assert (said.code, said.out) == (3, "")
        assert told(said.err)[0].startswith("tiny: no trial is complete")


def test_another_study_of_the_same_name_exits_4_with_the_difference(cli) -> None:
    cli(*RUN, "--trials", 1, "--quiet")
    before = files_below("results")
    said = cli(*RUN, "--trials", 1, "--seed", 9, "--quiet")
    assert (said.code, said.out) == (4, "")
    assert said.err.splitlines()[:2] == [
        "smoke: was made with other settings:",
        "  search.seed: 0 → 9; --name NEW starts another study, --allow-change goes on",
    ]
    assert json.loads(cli(*RUN, "--seed", 9, "--json").out)["error"]["code"] == 4
    assert files_below("results") == before
    assert cli(*RUN, "--trials", 1, "--seed", 9, "--quiet", "--allow-change").code == 0


def files_below(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_study_that_somebody_runs_exits_5(cli) -> None:
    cli(*RUN, "--trials", 1, "--quiet")
    lock = Path("results/smoke") / LOCK
    with lock.open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.write('{"host": "elsewhere", "pid": 7}')
        stream.flush()
        said = cli(*RUN, "--trials", 2, "--quiet")
    assert (said.code, said.out) == (5, "")
    assert said.err.startswith('results/smoke: is run by {"host": "elsewhere", "pid": 7}; wait')


def test_a_taken_port_exits_5(cli, finished) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = cli("dashboard", "--port", port, "--results", finished.results)
    assert (said.code, said.out) == (5, "")
    assert said.err == (
        f"dashboard: port {port}: Address already in use; choose another with --port\n"
    )


def test_a_bug_of_ours_exits_1_and_keeps_its_traceback(cli, monkeypatch, tmp_path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("so it goes")

    monkeypatch.setattr("hpo.order.list_with_about", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = cli("list")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("a bug of ours: RuntimeError: so it goes; see ")
    assert "in broken" in Path(said.err.strip().rpartition("see ")[2]).read_text()
    assert json.loads(cli("list", "--json").out)["error"]["code"] == 1


def test_ctrl_c_exits_130_without_a_traceback(cli, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hpo.order.list_with_about", interrupted)
    said = cli("list")
    assert (said.code, said.out, said.err) == (130, "", "")


def test_an_interrupted_run_names_the_command_that_was_typed(monkeypatch) -> None:
    from hpo.verbs.search import _again

    monkeypatch.setattr("sys.argv", ["hpo", "run", "a b.yaml", "--set", "x={low: 1}"])
    assert _again("a b.yaml") == "hpo run 'a b.yaml' --set 'x={low: 1}'"
    monkeypatch.setattr("sys.argv", ["hpo"])
    assert _again("study.yaml") == "hpo run study.yaml"


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["best", "tiny"],
        ["best", "tiny", "--top", "3"],
        ["show", "tiny", "0", "2", "4"],
        ["show", "tiny", "0", "4", "--diff"],
        ["list", "--json"],
        ["best", "tiny", "--json"],
        ["show", "tiny", "4", "--json"],
    ],
)
def test_piped_output_is_plain_text(cli, finished, arguments: list[str]) -> None:
    said = cli(*arguments, "--results", finished.results)
    assert said.code == 0
    assert not set("\r\x1b") & set(said.out + said.err)
    if "--json" in arguments:
        told = json.loads(said.out)
        assert (told["ok"], told["command"], told["warnings"]) == (True, arguments[0], [])


@pytest.mark.parametrize("verb", ["families", "spaces"])
def test_tables_have_a_json_form(cli, verb: str) -> None:
    rows = json.loads(cli(verb, "--json").out)["result"]
    lines = [line for line in cli(verb).out.splitlines() if not line.startswith(" ")]
    assert len(rows) == len(lines) - (verb != "families")


def test_results_that_are_a_file_stop_a_study_before_it_begins(cli, tmp_path) -> None:
    (tmp_path / "results").write_text("a file")
    said = cli("run", "smoke", "--results", tmp_path / "results")
    assert (said.code, said.out) == (5, "")
    assert said.err.splitlines()[-1].endswith("results: is no folder; name another with --results")
    said = cli("list", "--results", tmp_path / "results")
    assert (said.code, said.out) == (2, "")
    assert "is a file; name a folder of studies" in said.err


@pytest.mark.parametrize(
    "url", ["postgresql://me:s3cr3t@host/db", "postgresql://host/db?user=a&password=s3cr3t"]
)
def test_a4_a_password_is_not_taken_from_the_command_line(cli, monkeypatch, url: str) -> None:
    said = cli("run", "smoke", "--storage", url)
    assert (said.code, said.out) == (2, "")
    assert "--storage: a password in an argument is seen by everybody; set HPO_STORAGE" in said.err
    assert "s3cr3t" not in said.err
    monkeypatch.setenv("HPO_STORAGE", url.replace("postgresql", "nosuch"))
    said = cli("run", "smoke", "--workers", "0")
    assert said.code == 5
    assert "nosuch://host/db" in said.err
    assert "s3cr3t" not in said.err + said.out

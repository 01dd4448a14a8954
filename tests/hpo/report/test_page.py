import base64
import hashlib
import json
import re

import pytest

from hpo.errors import UsageError
from hpo.report import render, write_report
from hpo.report.page import inside_script, policy
from tests.hpo.report.reading import Page

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'<b>"


@pytest.fixture
def twenty(trial, write_study):
    """A study of twenty trials: complete, pruned, audited and failed ones."""
    records = [trial(n, 0.5 + (n * 7 % 20) / 50) for n in range(14)]
    records += [trial(n, 0.3, state="pruned") for n in range(14, 17)]
    records += [trial(17, 0.6, audit=1), trial(18, None, reason="nan", what=EVIL), trial(19, 0.4)]
    return write_study(records)


def test_the_page_is_well_formed_and_asks_nothing_of_any_network(twenty) -> None:
    html = render(twenty)
    page = Page(html)
    assert page.wrong == []
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    for tag, found in page.tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert "src" not in found
        assert not any(name.startswith("on") for name in found)
    assert all(link["href"].startswith(("#", "data:text/csv")) for link in page.links)
    assert len(html.encode()) < 6_000_000
    assert len(html.encode()) - len(page.scripts[1].encode()) < 400_000


def test_only_its_own_scripts_may_run(twenty) -> None:
    page = Page(render(twenty))
    said = next(f["content"] for _, f in page.tags if f.get("http-equiv"))
    for script in page.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in said
    assert "default-src 'none'" in said
    assert "unsafe-inline" not in said.split("style-src")[0]
    assert len(page.scripts) == 3


def test_what_the_user_wrote_stays_text_everywhere(trial, write_study, make_record) -> None:
    def evil(number: int, value: float | None, **fields):
        record = trial(number, value, **fields)
        config = {**record.config, "model": {"family": EVIL, "n_layers": 1}}
        config["optimizer"] = {"name": EVIL, "lr": 0.1}
        config["objective"] = {"metric": EVIL, "direction": "maximize"}
        params = {"model": EVIL, EVIL: EVIL}
        return record.model_copy(update={"config": config, "params": params})

    records = [evil(n, 0.5 + n / 100) for n in range(15)]
    records.append(evil(15, None, reason="error", what=EVIL))
    folder = write_study(records, model={"one_of": {EVIL: {}, "other": {"a": {"choices": [EVIL]}}}})
    about = {"schema": "hpo.about/1", "tags": [], "note": EVIL}
    folder.about.write_text(json.dumps(about), encoding="utf-8")
    html = render(folder)
    page = Page(html)
    assert page.wrong == []
    assert len(page.scripts) == 3
    assert not any(tag in ("img", "b") and found for tag, found in page.tags)
    assert "<" not in page.scripts[0]
    assert EVIL in page.text
    for figure in page.figures.values():
        for trace in figure["data"]:
            for text in [trace["name"], *trace.get("text", [])]:
                assert "<" not in text  # plotly reads tags in it


def test_the_sentences_and_tables_need_no_script(twenty) -> None:
    text = Page(re.sub(r"(?s)<script.*?</script>", "", render(twenty))).text
    assert "Use trial" in text
    assert "Was tuning worth it, and should the search go on?" in text
    assert "In plain sentences" in text
    assert "1 of 20 trials failed: 1 nan." in text
    assert "Of 1 trial that it would have stopped" in text


def test_a_figure_has_a_picture_for_those_without_scripts(twenty) -> None:
    page = Page(render(twenty))
    assert len(page.figures) == sum(tag == "noscript" for tag, _ in page.tags) > 5
    stills = [found for tag, found in page.tags if tag == "svg" and found.get("class") == "still"]
    assert len(stills) == len(page.figures)


def test_the_numbers_are_those_of_the_records(twenty) -> None:
    from hpo.records import read_trials

    records = read_trials(twenty)
    page = Page(render(twenty))
    rows = {int(row["trial"]): row for row in page.table("trials.csv")}
    assert {n: row["state"] for n, row in rows.items()} == {r.number: r.state for r in records}
    for record in records:
        told = rows[record.number]["accuracy"]
        assert told == ("" if record.value is None else repr(record.value))
    complete = sorted((r for r in records if r.has_rank), key=lambda r: (-r.value, r.number))
    assert [int(row["trial"]) for row in page.table("top.csv")] == [r.number for r in complete[:10]]
    best = max(record.value for record in complete)
    points = page.figures["s1-gain-0"]["data"]
    assert points[1]["y"][-1] == pytest.approx(best)
    assert points[1]["x"][-1] == sum(record.epochs_spent for record in records)
    audit = page.table("audit.csv")
    assert [(row["trial"], float(row["final"])) for row in audit] == [("17", 0.6)]


def test_several_studies_stand_in_one_page_with_their_audits_pooled(trial, write_study) -> None:
    folders = [
        write_study([trial(0, 0.5), trial(1, 0.9, audit=1, study=n), trial(2, 0.6)], name=n)
        for n in ("one", "two")
    ]
    page = Page(render(folders))
    assert page.wrong == []
    assert len(set(page.ids)) == len(page.ids)
    assert "over all 2 studies" in page.text
    assert {row["study"] for row in page.table("audit-pooled.csv")} == {"one", "two"}


@pytest.mark.parametrize("kind", ["nothing", "one", "all failed", "one pruned", "copies"])
def test_a_study_that_has_hardly_begun_has_a_page(trial, write_study, kind: str) -> None:
    records = {
        "nothing": [],
        "one": [trial(0, 0.5)],
        "all failed": [trial(n, None, reason="oom", what="no memory") for n in range(5)],
        "one pruned": [trial(0, 0.5, state="pruned")],
        "copies": [trial(0, 0.5), trial(1, 0.5, same_as=0), trial(2, 0.5, same_as=0)],
    }[kind]
    page = Page(render(write_study(records)))
    assert page.wrong == []
    assert ("No config can be recommended yet" in page.text) == (kind not in ("one", "copies"))


def test_regression_is_better_when_it_is_less(trial, write_study) -> None:
    def loss(number: int):
        record = trial(number, 3.0 - number / 10)
        task = {"task": {"kind": "regression"}}
        objective = {"metric": "rmse", "direction": "minimize"}
        config = {**record.config, **task, "objective": objective}
        return record.model_copy(update={"config": config})

    page = Page(render(write_study([loss(n) for n in range(12)], objective={"metric": "rmse"})))
    assert "rmse ↓" in page.text
    assert "It is 1.1 better than the default config" in page.text


def test_folds_tell_the_interval_of_the_gain(trial, write_study) -> None:
    folds = {n: [0.5 + n / 20, 0.52 + n / 20, 0.48 + n / 20] for n in range(6)}
    records = [trial(n, sum(f) / 3, run={"folds": f}) for n, f in folds.items()]
    assert "paired over the folds" in Page(render(write_study(records))).text


def test_a_family_of_a_plugin_that_is_not_loaded_has_a_page(trial, write_study) -> None:
    own = {"family": "unheard_of", "depth": {"low": 1, "high": 9}}

    def make(number: int):
        record = trial(number, 0.5 + number / 100)
        config = {**record.config, "model": {"family": "unheard_of", "depth": number}}
        del config["optimizer"]
        params = {"model.depth": 1 + number % 9}
        return record.model_copy(update={"config": config, "params": params})

    page = Page(render(write_study([make(n) for n in range(15)], model=own)))
    assert "unheard_of depth=" in page.text
    assert "its own" in page.text


def test_an_imported_study_is_looked_at_and_not_to_be_trained(trial, write_study) -> None:
    def bare(number: int):
        params = {"x": number / 20, "k": "ab"[number % 2]}
        made = trial(number, 1 - number / 20)
        return made.model_copy(update={"config": {}, "params": params, "notes": []})

    parameters = {
        "x": {"low": 0.0, "high": 1.0, "log": False, "step": None, "whole": False},
        "k": {"choices": ["a", "b"]},
    }
    told = {"study": "old", "metric": "value", "direction": "minimize", "parameters": parameters}
    none = dict.fromkeys(("task", "data", "model", "optimizer", "trainer", "objective"))
    records = [bare(n) for n in range(20)]
    page = Page(render(write_study(records, imported=told, **none)))
    assert "Use trial 19, x=0.95 k=b" in page.text
    assert {row["parameter"] for row in page.table("importance.csv")} >= {"x", "k"}
    assert not re.search("hpo (train|evaluate|verify)", page.text)


def test_values_of_any_size_are_strict_json(trial, write_study) -> None:
    html = render(write_study([trial(0, 0.5), trial(1, 1e300), trial(2, -1e300)]))
    assert "NaN" not in Page(html).scripts[0]
    assert "Infinity" not in Page(html).scripts[0]


def test_no_path_of_this_machine_is_in_the_page(twenty) -> None:
    html = render(twenty)
    assert str(twenty.path.parent.parent) not in html


def test_a_page_goes_where_there_is_a_folder(tmp_path) -> None:
    write_report(tmp_path / "a.html", "<p>")
    assert (tmp_path / "a.html").read_text() == "<p>"
    with pytest.raises(UsageError, match="there is no folder"):
        write_report(tmp_path / "no" / "a.html", "<p>")
    with pytest.raises(UsageError, match="is a folder"):
        write_report(tmp_path, "<p>")
    assert not (tmp_path / "no").exists()


def test_a_policy_names_each_script_by_its_hash() -> None:
    assert policy("a").count("sha256-") == 1
    assert policy("a", "b").count("sha256-") == 2
    assert policy("a") != policy("b")


def test_values_inside_of_a_script_cannot_end_it() -> None:
    text = inside_script({"a": "</script><!-- & \u2028"})
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == {"a": "</script><!-- & \u2028"}

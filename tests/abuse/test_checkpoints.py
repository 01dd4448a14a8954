"""Row A1 of the abuse matrix: a checkpoint never runs code, in whatever way it comes in."""

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpo.layout import StudyFolder
from hpo.predict.runs import open_run
from lightning_modules.checkpoint import load_checkpoint
from lightning_modules.config import RunConfig
from lightning_modules.errors import UsageError
from lightning_modules.result import Command, Validation
from lightning_modules.train import train
from lightning_modules.watch import Abandoned

Command_ = Callable[..., Any]


class Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._mark,)


PLACES = ["hyper_parameters", "optimizer_states", "state_dict", "callbacks", "top", "pickle"]


def poisoned(sound: Path, place: str, mark: Path) -> Path:
    """Put a bomb into a checkpoint, in place of what was there or beside it."""
    if place == "pickle":
        torch.save(Bomb(mark), sound)
        return sound
    whole: dict[str, Any] = torch.load(sound, weights_only=True)  # noqa: TID251
    bomb = Bomb(mark)
    if place == "hyper_parameters":
        whole["hyper_parameters"] = {"lr": bomb}
    elif place == "optimizer_states":
        whole["optimizer_states"] = [{"state": {0: bomb}, "param_groups": []}]
    elif place == "top":
        whole = {"bomb": bomb, **whole}
    else:
        whole[place] = {**whole.get(place, {}), "bomb": bomb}
    sound.unlink()  # it may be a link, or have two names
    torch.save(whole, sound)
    return sound


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """A file that is there if code ran."""
    path = tmp_path / "it-ran"
    yield path
    assert not path.exists(), "code from a checkpoint ran"


def test_a1_the_bomb_of_these_tests_goes_off_where_nothing_holds_it(tmp_path: Path) -> None:
    torch.save({"hyper_parameters": Bomb(tmp_path / "it-ran")}, tmp_path / "a.ckpt")
    torch.load(tmp_path / "a.ckpt", weights_only=False)  # noqa: TID251
    assert (tmp_path / "it-ran").exists()


@pytest.fixture
def best(copied: StudyFolder) -> Path:
    """The checkpoint of the best trial of a study that a test may change."""
    record = json.loads(copied.best_config.read_text())
    path: Path = copied.path / record["checkpoint"]["path"]
    return path


def record_as_it_is(folder: StudyFolder) -> None:
    """Let ``best_config.json`` vouch for the checkpoint: whoever sent both wrote both."""
    record = json.loads(folder.best_config.read_text())
    content = (folder.path / record["checkpoint"]["path"]).read_bytes()
    record["checkpoint"]["sha256"] = hashlib.sha256(content).hexdigest()
    folder.best_config.write_text(json.dumps(record))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Rows of iris to predict."""
    path = tmp_path / "rows.npy"
    np.save(path, np.ones((3, 4)))
    return path


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_a1_predict_and_evaluate_run_nothing_from_a_checkpoint(
    cli: Command_, copied: StudyFolder, best: Path, rows: Path, mark: Path, place: str, link: bool
) -> None:
    poisoned(best, place, mark)
    if link:
        elsewhere = mark.parent / "elsewhere.bin"
        shutil.move(best, elsewhere)
        best.symlink_to(elsewhere)
    record_as_it_is(copied)
    for arguments in (
        ("predict", copied.best_config, rows),
        ("predict", copied.path, rows),
        ("predict", best.parent, rows),
        ("evaluate", copied.path),
        ("evaluate", copied.path, "--test"),
    ):
        said = cli(*arguments)
        assert (said.code, said.out) == (2, "")
        assert f"{best.name}: cannot be read safely (" in said.err
    with pytest.raises(UsageError, match=r"best\.ckpt: cannot be read safely"):
        open_run(copied.path)


@pytest.mark.parametrize("place", PLACES)
def test_a1_verify_runs_nothing_from_a_checkpoint_that_all_records_vouch_for(
    cli: Command_, copied: StudyFolder, best: Path, mark: Path, place: str
) -> None:
    poisoned(best, place, mark)
    record_as_it_is(copied)
    said = cli("verify", copied.path)
    assert (said.code, "checkpoint.sha256 is" in said.err) == (4, True)
    found = json.loads(copied.best_config.read_text())["checkpoint"]
    result = best.parent / "result.json"
    trial = json.loads(result.read_text())
    trial["run"]["checkpoint"]["sha256"] = found["sha256"]
    result.write_text(json.dumps(trial))
    said = cli("verify", copied.path)
    assert said.code == 4
    assert "the checkpoint cannot be scored: cannot be read safely (" in said.err


@pytest.mark.parametrize("place", PLACES)
def test_a1_loading_runs_nothing_and_falls_back_on_nothing(
    copied: StudyFolder, best: Path, mark: Path, place: str
) -> None:
    link = mark.parent / "link.ckpt"
    link.symlink_to(poisoned(best, place, mark))
    for path in (best, link):
        with pytest.raises(UsageError, match=r"ckpt: cannot be read safely"):
            load_checkpoint(path)


# A training that goes on from what lies in its folder.


class Abandon:
    """A listener that lets a run go as soon as it has been through so many batches."""

    def __init__(self, at: int) -> None:
        self._left = at

    def batch_ended(self) -> Command:
        self._left -= 1
        return Command.CONTINUE if self._left else Command.ABANDON

    def validated(self, validation: Validation) -> Command:
        return Command.CONTINUE


CONFIG = {
    "task": {"kind": "multiclass"},
    "data": {"source": "iris"},
    "model": {"family": "mlp", "n_layers": 1, "width": 8},
    "optimizer": {"name": "adamw", "lr": 0.05},
    "trainer": {"max_epochs": 3, "batch_size": 32, "accelerator": "cpu"},
}


def vouch_for(folder: Path, old: str, new: str) -> None:
    """Put the new hash of a file wherever the run's folder holds the old one."""
    for file in folder.glob("*.json"):
        file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_a1_a_trial_that_goes_on_runs_nothing_from_its_checkpoints(
    tmp_path: Path, mark: Path, place: str, link: bool
) -> None:
    config = RunConfig.model_validate(CONFIG)
    straight = train(config, tmp_path / "straight")
    folder = tmp_path / "run"
    with pytest.raises(Abandoned):
        train(config, folder, report=Abandon(at=5))
    left = sorted(folder.glob("*.ckpt"))
    assert [path for path in left if path.name.startswith("last")], "there is nothing to go on from"
    for path in left:
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        after = hashlib.sha256(poisoned(path, place, mark).read_bytes()).hexdigest()
        vouch_for(folder, before, after)
        if link:
            shutil.move(path, tmp_path / f"elsewhere-{path.name}")
            path.symlink_to(tmp_path / f"elsewhere-{path.name}")
    done = train(config, folder)
    assert (done.value, done.epochs_run, done.steps) == (
        straight.value,
        straight.epochs_run,
        straight.steps,
    )
    assert done.checkpoint.sha256 == straight.checkpoint.sha256


# Checkpoints from elsewhere.


@pytest.fixture
def server(best: Path, mark: Path) -> Iterator[tuple[str, list[str]]]:
    """A web server that offers a bomb, and the paths that it was asked for."""
    asked: list[str] = []
    content = poisoned(best, "hyper_parameters", mark).read_bytes()

    class Offer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Offer) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/a.ckpt", asked
        httpd.shutdown()
        thread.join()
    assert asked == [], "something was fetched"


def test_a1_a_checkpoint_at_an_address_is_refused_and_not_fetched(
    cli: Command_, copied: StudyFolder, rows: Path, server: tuple[str, list[str]]
) -> None:
    url, _ = server
    assert cli("predict", url, rows).code == 2
    with pytest.raises(UsageError, match="no such checkpoint"):
        load_checkpoint(Path(url))
    for field in ({"path": url}, {"path": f"file://{rows}"}, {"path": f"{url}/best.ckpt"}):
        record = json.loads(copied.best_config.read_text())
        record["checkpoint"] |= field
        copied.best_config.write_text(json.dumps(record))
        assert cli("predict", copied.path, rows).code == 2
        assert cli("evaluate", copied.path).code == 2


# What else could be a pickle: arrays to predict, and the data that trials share.


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a1_an_array_of_objects_runs_nothing(
    cli: Command_, copied: StudyFolder, mark: Path, name: str
) -> None:
    array = np.array([[Bomb(mark)] * 4], dtype=object)
    path = mark.parent / name
    if name == "a.npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, x=array)
    said = cli("predict", copied.path, path)
    assert (said.code, said.out) == (2, "")
    assert f"{path}: is no array (" in said.err


@pytest.mark.slow
def test_a1_prepared_data_that_were_replaced_run_nothing(
    cli: Command_, tmp_path: Path, mark: Path
) -> None:
    command = ("run", "smoke", "--results", tmp_path / "r", "--workers", 1, "--quiet", "--trials")
    assert cli(*command, 1).code == 0
    (tensors,) = (tmp_path / "r" / "smoke" / "cache").glob("*.pt")
    torch.save({"train.x": Bomb(mark)}, tensors)
    assert cli(*command, 2).code == 0  # the trial failed, the study goes on
    result = json.loads((tmp_path / "r" / "smoke" / "trials" / "0001" / "result.json").read_text())
    assert (result["state"], result["reason"]) == ("failed", "error")
    assert result["what"].startswith("UnpicklingError: Weights only load failed")

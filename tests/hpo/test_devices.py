import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpo import devices
from hpo.children import PRELOADED
from hpo.devices import count_gpus, default_workers, gpus_for, refuse_processes, visible_gpus
from hpo.errors import UsageError
from lightning_modules.config import TrainerConfig


@pytest.mark.parametrize(
    ("visible", "n_present", "names"),
    [
        (None, 2, ["0", "1"]),
        (None, 0, []),
        ("1", 4, ["1"]),
        ("2, 0", 4, ["2", "0"]),
        ("GPU-8f2a,MIG-77", 2, ["GPU-8f2a", "MIG-77"]),
        ("", 2, []),
        ("-1", 2, []),
        ("1,7,0", 2, ["1"]),
        ("0,0", 2, ["0"]),
        ("NoDevFiles", 2, []),
        ("0,1", 0, []),
    ],
)
def test_the_gpus_are_those_that_cuda_would_show(
    visible: str | None, n_present: int, names: list[str]
) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_gpus(environment, n_present) == names


def test_gpus_are_counted_by_their_device_files(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    assert count_gpus(tmp_path) == 2


@pytest.mark.parametrize(
    ("prints", "n_gpus"),
    [
        ("echo 'GPU 0: A (UUID: GPU-1)'; echo '  MIG 1g'; echo 'GPU 1: A (UUID: GPU-2)'", 2),
        ("echo 'no devices were found'; exit 6", 0),
    ],
)
def test_without_device_files_the_drivers_tool_lists_the_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, n_gpus: int
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{prints}\n")
    tool.chmod(0o755)
    (tmp_path / "dev").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert count_gpus(tmp_path / "dev") == n_gpus


def test_without_files_and_tool_there_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert count_gpus(tmp_path) == 0


@pytest.mark.parametrize(
    ("accelerators", "torch", "gpus"),
    [
        (["auto"], "2.13.0", ["0", "1"]),
        (["auto"], "2.13.0+cu130", ["0", "1"]),
        (["cpu", "gpu"], "2.13.0", ["0", "1"]),
        (["cpu", "cpu"], "2.13.0", []),
        (["mps"], "2.13.0", []),
        (["auto"], "2.13.0+cpu", []),
    ],
)
def test_trials_share_gpus_if_one_of_them_may_use_one(
    monkeypatch: pytest.MonkeyPatch, accelerators: list[str], torch: str, gpus: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "count_gpus", lambda: 2)
    monkeypatch.setattr(devices, "version", lambda name: torch)
    trainers = [TrainerConfig.model_validate({"accelerator": name}) for name in accelerators]
    assert gpus_for(trainers) == gpus


def test_a_trial_cannot_have_more_processes_than_there_are_gpus() -> None:
    trainers = [TrainerConfig(), TrainerConfig(processes=3)]
    refuse_processes(trainers, ["0", "1", "2"], workers=1)
    refuse_processes(trainers, [], workers=1)
    what = r"^trainer.processes: 3 processes need as many GPUs, and 2 can be used; lower it, or set"
    with pytest.raises(UsageError, match=what):
        refuse_processes(trainers, ["0", "1"], workers=1)


def test_this_process_cannot_be_several() -> None:
    what = r"^trainer.processes: 2 processes of a trial cannot be this one; use workers, or remove"
    with pytest.raises(UsageError, match=what):
        refuse_processes([TrainerConfig(processes=2)], [], workers=0)


def test_what_children_are_forked_from_asks_nothing_of_cuda() -> None:
    """Whoever asks fixes what CUDA shows, for itself and for all that are forked from it."""
    program = f"""
import importlib, pathlib, sys, torch
exists = pathlib.Path.exists
pathlib.Path.exists = lambda path: str(path) == "/dev/nvidiactl" or exists(path)  # it has a GPU
def refuse(*args, **kwargs):
    sys.exit("CUDA was asked")
for name in ("is_available", "device_count", "init", "current_device", "_lazy_init"):
    setattr(torch.cuda, name, refuse)
for name in {PRELOADED}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("per_gpu", "cores", "trainer", "workers"),
    [
        (1, 16, {}, 2),
        (4, 16, {}, 8),
        (40, 16, {}, 16),  # not more than cores
        (4, 16, {"threads": 4}, 4),
        (4, 1, {}, 2),  # a trial for each GPU in any case
        (4, 16, {"processes": 2}, 1),
    ],
)
def test_as_many_trials_share_the_gpus_as_fit_and_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
    per_gpu: int,
    cores: int,
    trainer: dict[str, int],
    workers: int,
) -> None:
    monkeypatch.setattr("hpo.devices.gpus_for", lambda trainers: ["0", "1"])
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert default_workers([TrainerConfig(**trainer)], per_gpu=per_gpu) == workers

"""One plain Lightning training whose checkpoints are cut short, damaged, or gone on from.

Run as a program, with what to do and a folder; prints a JSON object.
"""

import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from benchmarks.faults_baseline.plain import Net, batches

N_MOMENTS = 24
EPOCHS = 4
FILE_EVENTS = ("open", "os.rename", "os.remove")


class Ending(pl.Callback):
    """Ends the process at a step, as a kill does."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step:
            os._exit(9)


def train(
    folder: Path,
    *,
    epochs: int = EPOCHS,
    start: Path | None = None,
    end_at: int | None = None,
    every: int | None = None,
) -> Net:
    """Train as a tutorial does, with the last checkpoint kept, after epochs or ``every`` steps."""
    pl.seed_everything(1)
    torch.set_num_threads(1)
    callbacks: list[pl.Callback] = [] if end_at is None else [Ending(end_at)]
    saver = ModelCheckpoint(folder, save_last=True, every_n_train_steps=every)
    net = Net(width=16, lr=0.01)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=[*callbacks, saver],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(net, *batches(0), ckpt_path=start)
    return net


def in_child(do: Callable[[], object]) -> int:
    """Run something in a process of its own; returns how that ended."""
    if not os.fork():
        do()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.wait()[1])


def whole(file: Path) -> bool:
    """Say whether every part of a checkpoint is there; its file is a zip with checksums."""
    try:
        with zipfile.ZipFile(file) as parts:
            return parts.testzip() is None
    except zipfile.BadZipFile:
        return False


def die_at(nth: int, folder: Path, *, torn: bool) -> Callable[[], None]:
    """Return a training that dies at its nth file operation, or in the middle of its writing."""
    places = (str(folder), tempfile.gettempdir())

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal nth
        if event not in FILE_EVENTS or not str(arguments[0]).startswith(places):
            return
        nth -= 1
        if nth == 0 and not torn:
            os.kill(os.getpid(), signal.SIGKILL)
        if nth == 0:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    def do() -> None:
        sys.addaudithook(look)
        train(folder)

    return do


def saves(folder: Path) -> dict[str, int]:
    """Kill a training at many file operations; count what it left under a checkpoint's name."""
    killed = half = 0
    for nth in range(1, N_MOMENTS + 1):
        for torn in (False, True):
            here = folder / f"{nth}-{torn}"
            here.mkdir(parents=True)
            if in_child(die_at(nth, here, torn=torn)) != 0:
                killed += 1
                half += any(not whole(file) for file in here.glob("*.ckpt"))
    return {"killed": killed, "half": half}


def damages(folder: Path) -> dict[str, list[str]]:
    """Go on from a checkpoint that was damaged; returns the damages that were believed."""
    in_child(lambda: train(folder, epochs=2))
    believed = []
    for name in ("truncated", "empty", "one bit flipped"):
        file = Path(shutil.copy(folder / "last.ckpt", folder / f"{name}.ckpt"))
        content = bytearray(file.read_bytes())
        if name == "one bit flipped":
            content[middle_of_a_weight(file)] ^= 64
        else:
            del content[0 if name == "empty" else -100 :]
        file.write_bytes(content)
        if in_child(partial(train, folder / "on", start=file)) == 0:
            believed.append(name)
    return {"believed": believed}


def middle_of_a_weight(file: Path) -> int:
    with zipfile.ZipFile(file) as parts:
        largest = max((p for p in parts.infolist() if "/data/" in p.filename), key=size_of)
    with file.open("rb") as stream:
        stream.seek(largest.header_offset + 26)
        name, extra = (int.from_bytes(stream.read(2), "little") for _ in range(2))
    return largest.header_offset + 30 + name + extra + largest.file_size // 2


def size_of(part: zipfile.ZipInfo) -> int:
    return part.file_size


def resumes(folder: Path) -> dict[str, list[str]]:
    """Go on after an epoch, and in the middle of one; returns where the weights are the same."""
    in_child(lambda: keep(train(folder / "straight"), folder / "straight.pt"))
    same = []
    for name, at, every in (("after an epoch", 16, None), ("in an epoch", 20, 5)):
        here, result = folder / name, folder / f"{name}.pt"
        in_child(partial(train, here, end_at=at, every=every))
        in_child(partial(go_on, here, result))
        one, other = (torch.load(p, weights_only=True) for p in (folder / "straight.pt", result))  # noqa: TID251
        same += [name] if all(torch.equal(one[key], other[key]) for key in one) else []
    return {"same": same}


def go_on(folder: Path, result: Path) -> None:
    keep(train(folder, start=folder / "last.ckpt"), result)


def keep(net: pl.LightningModule, file: Path) -> None:
    torch.save(net.state_dict(), file)


if __name__ == "__main__":
    DOES: dict[str, Callable[[Path], Any]] = {
        "saves": saves,
        "damages": damages,
        "resumes": resumes,
    }
    print("\n" + json.dumps(DOES[sys.argv[1]](Path(sys.argv[2]))))

"""How a network is computed, and not what: layout, precision, one compiled program."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from lightning_modules.config import RunConfig
from lightning_modules.errors import UsageError

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
IMAGE_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
BF16_UNITS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls a CPU's instructions for bf16, on x86 and on ARM."""
COMPILERS = ("c++", "g++", "clang++")


def convolves_images(module: nn.Module) -> bool:
    """Return whether ``module`` has convolutions over images, whose layout can be chosen."""
    return any(isinstance(part, IMAGE_CONVOLUTIONS) for part in module.modules())


def layout_of(module: nn.Module) -> str | None:
    """Return how the weights of convolutions over images lie; None if both layouts are the same.

    They are for a network without any, or where all of them see one channel.
    """
    for part in module.modules():
        if isinstance(part, IMAGE_CONVOLUTIONS):
            fitting = [
                name
                for name, order in LAYOUTS.items()
                if part.weight.is_contiguous(memory_format=order)
            ]
            if len(fitting) == 1:
                return fitting[0]
    return None


def lay_out(module: nn.Module, config: RunConfig) -> None:
    """Put the weights of ``module`` into the layout of ``config``, if that names one.

    A convolution brings what it sees into the layout of its weights. On the disk all weights lie as
    `torch.save` has them: a checkpoint loads into a network of any layout.

    Raises:
        UsageError: if no convolution over images is there, and the setting without effect.
    """
    layout = config.trainer.layout
    if layout is None:
        return
    if not convolves_images(module):
        what = f"{config.family} on {config.source} has no convolution over images to lay out"
        raise UsageError("trainer.layout", what, "remove this setting")
    module.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]


def compile_network(module: nn.Module, config: RunConfig) -> None:
    """Let ``torch.compile`` make one program of the network, where ``config`` asks for it.

    In place: the names of its weights stay, and a checkpoint loads everywhere.

    Raises:
        UsageError: if this machine lacks the compiler that it needs.
    """
    if config.trainer.compile:
        refuse_compiler(config)
        module.get_submodule("network").compile()


def refuse_compiler(config: RunConfig) -> None:
    """Check that this machine has what compiles the network of ``config``, if it asks for that.

    Raises:
        UsageError: if not.
    """
    lacking = missing_compiler(_device_type(config)) if config.trainer.compile else None
    if lacking is not None:
        raise UsageError("trainer.compile", lacking, "install it, or remove this setting")


def missing_compiler(device_type: str) -> str | None:
    """Return what is missing for ``torch.compile`` on such a device; None if nothing is."""
    if device_type == "cuda":
        return None if find_spec("triton") else "torch.compile needs the package triton on a GPU"
    own = os.environ.get("CXX")
    found = any(shutil.which(name) for name in ((own,) if own else COMPILERS))
    return None if found else "torch.compile needs a C++ compiler, and none is installed"


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run compiled networks as they were written: where they are counted, or run once."""
    with torch.compiler.set_stance("force_eager"):
        yield


def in_precision(config: RunConfig, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which Lightning computes a step or a validation of ``config``.

    ``16-mixed`` is left out on a CPU, which trains nothing in it.
    """
    precision = config.trainer.precision
    if precision == "32-true" or (precision == "16-mixed" and device.type == "cpu"):
        return nullcontext()
    kind = torch.bfloat16 if precision == "bf16-mixed" else torch.float16
    return torch.autocast(device.type, dtype=kind)


def has_bf16_units(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether ``device`` has instructions of its own for bf16, which else is emulated.

    Args:
        device: on which it would be computed.
        cpuinfo: what Linux says of the CPU; elsewhere torch is asked.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if cpuinfo.is_file():
        return not BF16_UNITS.isdisjoint(cpuinfo.read_text("utf-8", errors="replace").split())
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) is True for name in BF16_UNITS)


def device_of(config: RunConfig) -> torch.device:
    """Return the device that a run of ``config`` is trained on here."""
    return torch.device(_device_type(config))


def _device_type(config: RunConfig) -> str:
    wanted = config.trainer.accelerator
    if wanted in ("auto", "gpu") and torch.cuda.is_available():
        return "cuda"
    if wanted in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return "mps"
    return "cpu"

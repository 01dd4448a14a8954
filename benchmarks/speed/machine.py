"""The machine that was measured on, in one line."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

UNITS = ("amx_bf16", "avx512_bf16")
"""What Linux calls a CPU's units for products of bf16 matrices; the first has tiles of them."""
PACKAGES = ("torch", "pytorch-lightning", "optuna")


def cpu_facts() -> tuple[str, frozenset[str]]:
    """Return the CPU's model and its flags, as far as Linux tells them."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    fields = [line.partition(":") for line in text.splitlines()]
    found = {key.strip(): value.strip() for key, _, value in reversed(fields)}
    model = found.get("model name", platform.processor() or platform.machine())
    return model, frozenset(found.get("flags", "").split())


def has_matrix_units() -> bool:
    """Return whether the CPU multiplies bf16 matrices in units made for that."""
    return "amx_bf16" in cpu_facts()[1]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def packages() -> str:
    """Return the versions of what is compared, whatever of it is installed."""
    found = []
    for name in (*PACKAGES, "ray"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            if name in PACKAGES:
                found.append(f"{name}: not installed")
    return ", ".join(found)


def load() -> float:
    """Return how many processes wanted to run, on average over the last minute."""
    return os.getloadavg()[0]


def machine_line() -> str:
    """Return cores, CPU, bf16 units, versions and the day."""
    model, flags = cpu_facts()
    units = " and ".join(unit for unit in UNITS if unit in flags) or "none"
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{cores()} cores, {model}, bf16 units: {units}; Python {platform.python_version()}, "
        f"{packages()}; {day}"
    )

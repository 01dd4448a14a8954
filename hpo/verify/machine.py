"""The machine class: within one, the same training gives the same bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo.environment import describe

COMPUTING = ("torch", "pytorch-lightning", "numpy", "pandas", "scikit-learn", "hpo")
"""The packages whose versions decide how a number comes about."""


@dataclass(frozen=True, kw_only=True)
class MachineClass:
    """What the order of a sum, and so its last bits, depends on."""

    platform: str
    cpu: str | None
    features: tuple[str, ...]
    """The processor's instructions by which kernels are chosen."""
    device: str
    threads: int
    packages: Mapping[str, str]

    @classmethod
    def recorded(cls, environment: Mapping[str, Any]) -> "MachineClass":
        """Return the class of the machine that a best config names."""
        return cls(
            platform=environment["platform"],
            cpu=environment["cpu"],
            features=tuple(environment.get("cpu_features") or ()),
            device=environment["device"],
            threads=environment["threads"],
            packages={k: v for k, v in environment["packages"].items() if k in COMPUTING},
        )

    @classmethod
    def here(cls, *, device: str, threads: int) -> "MachineClass":
        """Return the class of this machine, training on ``device`` with so many threads."""
        found = describe(device=device, threads=threads, freeze_text="", git=None)
        return cls.recorded(found)

    def differences(self, other: "MachineClass") -> list[str]:
        """Return in what ``other`` is another class: one line each, ``what: this → other``."""
        pairs: list[tuple[str, object, object]] = [
            ("platform", self.platform, other.platform),
            ("processor", self.cpu, other.cpu),
            ("its instructions", _words(self.features), _words(other.features)),
            ("device", self.device, other.device),
            ("threads", self.threads, other.threads),
        ]
        pairs += [
            (name, self.packages.get(name), other.packages.get(name))
            for name in COMPUTING
            if name in self.packages or name in other.packages
        ]
        return [f"{name}: {a} → {b}" for name, a, b in pairs if a != b]

    def __str__(self) -> str:
        known = [name for name in ("amx", "avx512", "avx2", "sve", "asimd") if self._has(name)]
        cpu = (self.cpu or "unnamed processor") + (f" with {known[0]}" if known else "")
        threads = f"{self.threads} thread" + ("s" if self.threads != 1 else "")
        torch = self.packages.get("torch", "unknown")
        return f"{self.platform}, {cpu}, {self.device}, {threads}, torch {torch}"

    def _has(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.features)


def _words(features: tuple[str, ...]) -> str:
    return " ".join(features) or "unnamed"

"""Types what a page says, in the order in which it stands there, with smaller budgets."""

import json
import re
import shlex
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from tests.programs import Program, Programs, Said

ROOT = Path(__file__).parents[2]
SERVED = "http://127.0.0.1:8000"
FEWER = {
    "museum.yaml": ["--set", "model=mlp", "--set", "task.window=14"],
}
"""What is decided of a study that a page searches, for the time it takes."""
QUICK = ["--workers", "0", "--plain", "--set", "trainer.max_epochs=1"]
QUICK += ["--set", "trainer.precision=32-true"]  # or it would be measured
_BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```', re.M | re.S)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page."""

    kind: str
    title: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines to be typed: what else stands in the block is what came out."""
        lines = self.text.splitlines() if self.kind == "console" else []
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, first to last."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(kind=kind, title=title, text=text) for kind, title, text in found]


def commands_of(page: Path) -> list[str]:
    """Return all commands of a page."""
    return [command for block in blocks_of(page) for command in block.commands]


def shrunken(words: list[str]) -> list[str]:
    """Return what makes a command take less time, of those that train."""
    if words[0] == "run":
        wanted = int(words[words.index("--trials") + 1]) if "--trials" in words else 2
        return ["--trials", str(min(wanted, 2)), *QUICK, *FEWER.get(words[1], [])]
    if words[0] == "evaluate" and "--seeds" in words:
        return ["--seeds", "2", "--workers", "0"]
    return []


@dataclass(kw_only=True)
class Typist:
    """Somebody who follows a page in a folder.

    Args:
        folder: where it is followed; the current one.
        cli: runs hpo in this process.
        program: runs a Python file in this process.
        programs: starts a process.
        quick: what is added to a command of hpo, from its words.
    """

    folder: Path
    cli: Callable[..., Said]
    program: Callable[..., str]
    programs: Programs
    quick: Callable[[list[str]], list[str]] = field(default=shrunken)
    served: Program | None = None
    address: str = ""

    def follow(self, page: Path) -> None:
        """Write the page's files, and type its commands."""
        for block in blocks_of(page):
            if block.title:
                (self.folder / block.title).write_text(block.text, encoding="utf-8")
            for command in block.commands:
                self.type(command)

    def type(self, command: str) -> None:
        """Type one command; it has to succeed."""
        command, _, into = command.partition(" > ")
        verb, *words = shlex.split(command)
        if verb == "hpo" and words[0] == "serve":
            self.serve(words[1:])
            return
        said = self._said(verb, words)
        assert said.strip() or verb != "curl", f"{command}: no answer"
        if into:
            (self.folder / into).write_text(said, encoding="utf-8")

    def _said(self, verb: str, words: list[str]) -> str:
        if verb == "hpo":
            done = self.cli(*words, *self.quick(words))
            assert done.code == 0, f"hpo {shlex.join(words)}\n{done.err}{done.out}"
            assert "Traceback" not in done.err
            return done.out
        if verb == "cat":
            return (self.folder / words[0]).read_text(encoding="utf-8")
        if verb == "curl":
            return self.ask(words)
        assert verb == "python", f"nobody types {verb}"
        if words[0] == "-c":
            with self.programs.start(*words[2:], folder=self.folder, code=words[1]) as process:
                assert process.wait() == 0, process.err
                return process.out
        if (self.folder / words[0]).is_file() and not words[0].startswith("examples/"):
            return self.own(words[0])
        few = ["--rows", "150"] if words[0].endswith("make.py") and "--rows" not in words else []
        if "signs" in words:
            few = ["--rows", "16"]
        return self.program(*words, *few)

    def own(self, file: str) -> str:
        """Run a program that the page shows, in a process of its own."""
        code = (
            f"import runpy, sys; sys.path[:0] = ['.']; runpy.run_path({file!r}, None, '__main__')"
        )
        started = self.programs.start(folder=self.folder, code=code)
        with started as process:
            assert process.wait() == 0, process.err
            return process.out

    def serve(self, words: list[str]) -> None:
        """Start a service in a process of its own, on a free port, and wait until it is ready."""
        self.close()
        self.served = self.programs.start("serve", *words, "--port", "0", folder=self.folder)
        until = monotonic() + 60
        while "http://" not in self.served.out:
            assert self.served.poll() is None, self.served.err
            assert monotonic() < until, self.served.err
            sleep(0.05)
        found = re.search(r"http://127\.0\.0\.1:\d+", self.served.out)
        assert found, self.served.out
        self.address = found[0]

    def ask(self, words: list[str]) -> str:
        """Ask the service as curl does, and return its answer."""
        url, headers, body = "", {}, None
        given = iter(words)
        for word in given:
            if word == "-H":
                name, _, value = next(given).partition(": ")
                headers[name] = value
            elif word in ("-d", "--data-binary"):
                text = next(given)
                file = self.folder / text[1:]
                body = file.read_bytes() if text.startswith("@") else text.encode()
            elif not word.startswith("-"):
                url = word.replace(SERVED, self.address)
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = str(answer.read().decode())
            if answer.headers["content-type"].startswith("application/json"):
                json.loads(said)
            return said

    def close(self) -> None:
        """End the service, if there is one."""
        if self.served is not None:
            self.served.__exit__()
            self.served = None

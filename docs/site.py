"""The site: the pages of the whole repository in one folder, so that mkdocs.yml can order them."""

import re
import shutil
from os.path import relpath
from pathlib import Path, PurePosixPath

from docs.cli_page import cli_page
from docs.study_page import study_page

ROOT = Path(__file__).parent.parent
WRITTEN = {"docs/reference/cli.md": cli_page, "docs/reference/study.md": study_page}
"""Pages that are written from the code."""
ELSEWHERE = {
    "README.md": "index.md",
    "README.zh-CN.md": "zh-CN.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "measured/speed.md",
    "deploy/README.md": "how-to/deploy.md",
    "examples/README.md": "tutorials/examples.md",
    "results/README.md": "reference/records.md",
    "results/reference/ensembles.md": "measured/ensembles.md",
    "results/reference/families.md": "measured/families.md",
    "results/reference/fashion-mnist/README.md": "measured/fashion-mnist.md",
    "results/reference/honesty.md": "measured/honesty.md",
}
"""Pages that lie beside what they tell of, and where they are on the site."""
COPIED = (".css", ".png", ".svg")
"""What is taken as it is."""
_FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


class BrokenLinkError(Exception):
    """A link of a page that leads nowhere."""


def write_references(root: Path = ROOT) -> list[str]:
    """Write the pages that come from the code, and return those that have changed."""
    changed = []
    for name, page in WRITTEN.items():
        path, text = root / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return changed


def gather(to: Path) -> None:
    """Put every page, picture and style into a new folder, as the site has them.

    Raises:
        BrokenLinkError: a link leads nowhere.
    """
    shutil.rmtree(to, ignore_errors=True)
    places = site_places()
    for name, place in places.items():
        target = to / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(COPIED):
            shutil.copyfile(ROOT / name, target)
        else:
            text = (ROOT / name).read_text(encoding="utf-8")
            target.write_text(relinked(text, name, places), encoding="utf-8")


def site_places() -> dict[str, str]:
    """Return where every page, picture and style of the repository is on the site."""
    kept = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "docs").rglob("*"))
        if path.suffix in (".md", *COPIED)
    ]
    found = {name: name.removeprefix("docs/") for name in kept}
    return found | {name: place for name, place in ELSEWHERE.items() if (ROOT / name).exists()}


def relinked(text: str, name: str, places: dict[str, str]) -> str:
    """Return a page with its links as the site needs them; one to a source file becomes its text.

    Raises:
        BrokenLinkError: a link leads nowhere.
    """

    def moved(link: re.Match[str]) -> str:
        image, words, target = link.groups()
        path, _, anchor = target.partition("#")
        if ":" in path or not path:
            return link[0]
        file = (ROOT / name).parent.joinpath(path).resolve()
        if not file.exists() or not file.is_relative_to(ROOT):
            raise BrokenLinkError(f"{name}: {target} leads nowhere")
        at = file.relative_to(ROOT).as_posix()
        if at not in places:
            return words
        here = PurePosixPath(places[name]).parent
        there = relpath(places[at], here) + (f"#{anchor}" if anchor else "")
        return f"{image}[{words}]({there})"

    parts = _FENCE.split(text)
    return "".join(part if i % 2 else _LINK.sub(moved, part) for i, part in enumerate(parts))

"""The site has every page, every link leads somewhere, and nothing of it comes from elsewhere."""

import re
import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from docs.site import ROOT, BrokenLinkError, gather, relinked, site_places
from hpo.files import read_document

NAV = read_document(ROOT / "mkdocs.yml").values["nav"]
LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?([^\"'\s>]+)")


def pages_in(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    below = nav.values() if isinstance(nav, dict) else nav
    assert not isinstance(below, str)
    return [page for one in below for page in pages_in(one)]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site: zensical ends with an error where a link or an anchor leads nowhere."""
    root = tmp_path_factory.mktemp("site")
    shutil.copyfile(ROOT / "mkdocs.yml", root / "mkdocs.yml")
    gather(root / "build" / "pages")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "build" / "site"


def test_every_page_stands_in_the_navigation_once() -> None:
    pages = [place for place in site_places().values() if place.endswith(".md")]
    listed = pages_in(NAV)
    assert sorted(listed) == sorted(pages)


def test_every_page_is_built(site: Path) -> None:
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {page.removesuffix(".md") + ".html" for page in pages_in(NAV)} <= built


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        found = LOADED.findall(page.read_text(encoding="utf-8"))
        assert [url for url in found if url.startswith(("http:", "https:", "//"))] == [], page
    assert "fonts.g" not in (site / "index.html").read_text(encoding="utf-8")


def test_a_link_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(BrokenLinkError, match=r"docs/x\.md: gone\.md leads nowhere"):
        relinked("[a](gone.md)", "docs/x.md", {})


def test_links_are_moved_with_their_pages() -> None:
    page = "[a](../results/README.md#b) ![c](pictures/curve.svg) [d](../Makefile) [e](https://x.y)"
    moved = "[a](reference/records.md#b) ![c](pictures/curve.svg) d [e](https://x.y)"
    assert relinked(page, "docs/tracking.md", site_places()) == moved
    assert relinked("```\n[a](b)\n```", "docs/tracking.md", {}) == "```\n[a](b)\n```"


@pytest.mark.slow
def test_a_browser_asks_nobody_else_and_copies_commands_alone(site: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_api.sync_playwright() as p:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        allowed = ["clipboard-read", "clipboard-write"]
        page = browser.new_context(permissions=allowed).new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "reference/study", "tutorials/table"):
            page.goto(f"{address}/{name}.html", wait_until="networkidle")
            assert page.locator("h1").first.is_visible()
        page.locator("button[data-md-type=copy]").first.click()
        copied = str(page.evaluate("navigator.clipboard.readText()")).split("\n")
        browser.close()
        server.shutdown()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert len(asked) > 5
    assert [line.split()[0] for line in copied if line] == ["python", "hpo"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""

"""Every page in a real browser: it is as it should be, says nothing on the console, asks nobody."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from urllib.request import urlopen

import pytest

from hpo.dashboard import Dashboard
from hpo.layout import StudyFolder
from hpo.spec import load_study

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
PICTURES = Path(os.environ.get("CI_OUTPUT", Path(__file__).parents[2] / "build")) / "pictures"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.slow,
]
SETTLED_MS = 400
Look = Callable[..., object]


class Watched:
    """A browser's page, and what went wrong on it."""

    def __init__(self, page, address: str) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.set_default_timeout(60_000)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"page: {error}"))
        page.on("requestfailed", lambda r: self.wrong.append(f"lost: {r.url} {r.failure}"))
        page.on("request", lambda r: self._asked(r.url, address))
        page.on("response", lambda r: self._answered(r.status, r.url))

    def _said(self, message) -> None:
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")

    def _asked(self, url: str, address: str) -> None:
        if not url.startswith((f"{address}/", "data:", f"blob:{address}/")):
            self.wrong.append(f"left the machine: {url}")

    def _answered(self, status: int, url: str) -> None:
        if status >= 400:
            self.wrong.append(f"{status}: {url}")


@pytest.fixture(scope="module")
def board(hundred: StudyFolder) -> Iterator[Dashboard]:
    board = Dashboard(hundred.path.parent)
    yield board
    board.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def look(browser, board: Dashboard) -> Iterator[Look]:
    """Return a function that opens an address and waits until it stands; nothing may go wrong."""
    opened = []

    def run(path: str, *, wait: str = "body", dark: bool = False, wide: int = 1280) -> object:
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": wide, "height": 860}, locale="en-GB"
        )
        opened.append((context, watched := Watched(context.new_page(), board.address)))
        watched.page.goto(board.address + path, wait_until="load")
        try:
            watched.page.wait_for_selector(wait)
        except sync_api.TimeoutError:
            keep(watched.page, "missing")
            raise
        watched.page.wait_for_timeout(SETTLED_MS)
        return watched.page

    yield run
    wrong = [line for _, watched in opened for line in watched.wrong]
    for context, _ in opened:
        context.close()
    assert wrong == []


def keep(page, name: str) -> None:
    """Keep a picture for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def names_of_the_space(hundred: StudyFolder) -> set[str]:
    return {parameter.name for parameter in load_study(hundred.study_file).space.parameters()}


@pytest.mark.parametrize("dark", [False, True])
def test_the_index_is_readable_in_light_and_in_dark(look: Look, dark: bool) -> None:
    page = look("/", wait="table.studies", dark=dark)
    assert page.locator("tbody tr").count() == 1
    ground, ink = page.evaluate(
        "() => [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.body).color]"
    )
    assert (brightness(ground) < brightness(ink)) == dark
    assert abs(brightness(ground) - brightness(ink)) > 150
    keep(page, f"index-{'dark' if dark else 'light'}")


def brightness(colour: str) -> float:
    numbers = colour.removeprefix("rgb(").removesuffix(")").split(",")
    return sum(map(float, numbers)) / 3


def test_a_phone_shows_the_index_without_scrolling_aside(look: Look) -> None:
    page = look("/", wait="table.studies", wide=390)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    keep(page, "index-phone")


def test_the_way_from_the_index_to_a_trial(look: Look, hundred: StudyFolder) -> None:
    page = look("/", wait="table.studies")
    page.click("a:text-is('hundred')")
    page.wait_for_selector("h2:has-text('Trials')")
    assert page.locator("tbody tr").count() == 50
    keep(page, "study")
    page.click("tbody tr:first-child td.name a")
    page.wait_for_selector("h1:has-text('Trial')")
    keep(page, "trial")
    assert "model" in page.inner_text("section:has-text('What was decided')")


@pytest.mark.parametrize("dark", [False, True])
def test_optunas_dashboard_shows_the_study(look: Look, dark: bool) -> None:
    page = look("/dashboard/studies/1", wait="text=Was tuning worth it?", dark=dark)
    page.wait_for_selector("text=Which choices matter", state="attached")
    assert page.locator("text=Best Trial").count()
    keep(page, f"optuna-{'dark' if dark else 'light'}")


def test_the_note_names_the_best_and_links_to_it(look: Look, hundred: StudyFolder) -> None:
    best = json.loads(hundred.best_config.read_text())
    page = look("/dashboard/studies/1/note", wait="table")
    link = page.locator(f"strong a:text-is('trial {best['study']['trial']}')")
    assert link.get_attribute("href").endswith(f"numbers={best['study']['trial']}")
    assert page.locator("table tr").count() == 11
    keep(page, "note")


def test_optunas_page_of_a_trial_shows_its_pictures(look: Look, hundred: StudyFolder) -> None:
    best = json.loads(hundred.best_config.read_text())["study"]["trial"]
    page = look(f"/dashboard/studies/1/trials?numbers={best}", wait="img[src*='/artifacts/']")
    page.wait_for_function(
        "() => [...document.querySelectorAll('img')].every(image => image.naturalWidth > 100)"
    )
    keep(page, "optuna-trial")


def test_a_study_with_conditional_parameters_draws_its_parallel_coordinates(look: Look) -> None:
    page = look("/dashboard/studies/1/analytics", wait=".js-plotly-plot .main-svg")
    keep(page, "analytics")


def test_tensorboard_has_a_column_for_every_parameter(look: Look, hundred: StudyFolder) -> None:
    page = look("/tb/study/hundred/#hparams", wait="text=t0000")
    for name in names_of_the_space(hundred):
        page.wait_for_selector(f"text={name}", state="attached")
    keep(page, "hparams")


def test_tensorboard_opens_at_the_best_curves(
    look: Look, board: Dashboard, hundred: StudyFolder
) -> None:
    with urlopen(board.address) as index:
        link = index.read().decode().partition('href="/tb/study/')[2].partition('"')[0]
    first, *_, last = csv.DictReader(hundred.leaderboard.read_text().splitlines())
    page = look(f"/tb/study/{unescape(link)}", wait=f"text=t{int(first['trial']):04d}-")
    assert page.locator(f"text=t{int(last['trial']):04d}-").count() == 0
    keep(page, "curves")


@pytest.mark.parametrize("dark", [False, True])
def test_the_report_runs_its_own_scripts_and_no_others(look: Look, dark: bool) -> None:
    pytest.importorskip("hpo.report")
    page = look("/hpo/report/hundred", wait="h1", dark=dark)
    if page.locator(".plotly").count() or page.locator("script").count():
        page.wait_for_selector(".main-svg", state="attached")
    assert page.evaluate("() => window.origin") == "null"
    keep(page, f"report-{'dark' if dark else 'light'}")

"""Text that people or data chose stays text on every page, in a real browser."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import hpo
from hpo.dashboard import Dashboard, Options
from hpo.layout import StudyFolder
from hpo.order import change_tags, set_note
from hpo.spec import load_study
from hpo.study import run_study

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.slow,
]
BAD = "\"><img src=x onerror=window.hit='{0}'><script>window.hit='{0}'</script>[x](javascript:1)"
FAMILY, CHOICE, LABEL, NOTE = (BAD.format(what) for what in ("family", "choice", "label", "note"))
PAGES = {
    "/": NOTE,
    "/?tag=%3Cscript%3Ewindow.hit%3D1%3C/script%3E": "Studies",
    "/hpo/study/hostile": FAMILY,
    "/hpo/trial/hostile/0": CHOICE,
    "/hpo/report/hostile": "hostile",
    "/hpo/compare?study=hostile&study=again": "hostile",
    "/dashboard/studies/1": "Best Trial",
    "/dashboard/studies/1/note": "trial 0",
    "/dashboard/studies/1/trials?numbers=0": "Trial 0",
    "/tb/study/hostile/#hparams": "TensorBoard",
}


@pytest.fixture(scope="module")
def hostile(
    module_registries: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    """Two studies in which a family, a choice, a class, a column and the notes are markup."""
    import torch

    @hpo.family(FAMILY)
    def build(
        input_shape: tuple[int, ...], n_outputs: int, *, width: int = 4, mood: str = CHOICE
    ) -> torch.nn.Module:
        first = torch.nn.Linear(input_shape[0], width)
        return torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Linear(width, n_outputs))

    root = tmp_path_factory.mktemp("hostile")
    with (root / "data.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([BAD.format("column"), "x", "y"])
        writer.writerows([i % 7, i % 3, LABEL if i % 2 else "b"] for i in range(60))
    for name in ("hostile", "again"):
        study = {
            "name": name,
            "task": {"kind": "multiclass"},
            "data": {"source": "csv", "path": str(root / "data.csv"), "target": "y"},
            "model": {
                "family": FAMILY,
                "width": {"low": 2, "high": 8},
                "mood": {"choices": [CHOICE, "calm"]},
            },
            "trainer": {"max_epochs": 1, "accelerator": "cpu"},
            "budget": {"trials": 3},
            "search": {"sampler": "random", "pruner": "none"},
        }
        folder = run_study(load_study(study), root / "results").folder
        set_note(folder, NOTE)
    change_tags(StudyFolder(root / "results" / "hostile"), ["fine"], [])
    board = Dashboard(Path(root / "results"), options=Options())
    yield board
    board.close()


def test_what_people_named_stays_text_on_every_page(hostile: Dashboard) -> None:
    hit: dict[str, object] = {}
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for path, shown in PAGES.items():
            page = browser.new_page()
            page.set_default_timeout(60_000)
            page.goto(hostile.address + path, wait_until="load")
            page.wait_for_timeout(1_500)
            found = page.evaluate("() => String(window.hit)")
            bad = page.locator("img[src='x'], [onerror], a[href^='javascript:']").count()
            hit[path] = (found, bad)
            assert shown in " ".join(page.inner_text("body").split()), path
            page.close()
        browser.close()
    assert hit == dict.fromkeys(PAGES, ("undefined", 0))

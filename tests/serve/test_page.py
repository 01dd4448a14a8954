"""The page in a real browser: a row is filled in, the answer appears, and nobody else is asked."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.conftest import Serve, Server

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
PICTURES = Path(os.environ.get("CI_OUTPUT", Path(__file__).parents[2] / "build")) / "pictures"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
    pytest.mark.slow,
]
TOKEN = "a-token-of-many-letters"
Look = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def look(browser: Any) -> Iterator[Look]:
    """Return a function that opens a server's page; nothing may go wrong on it."""
    wrong: list[str] = []
    contexts = []

    def run(
        server: Server, path: str = "/", *, dark: bool = False, wide: int = 1000, expect: int = 0
    ) -> Any:
        context = browser.new_context(
            color_scheme="dark" if dark else "light", viewport={"width": wide, "height": 900}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda m: wrong.append(m.text) if is_wrong(m, expect) else None)
        page.on("request", lambda r: asked(r.url, server.address))
        page.goto(server.address + path, wait_until="load")
        return page

    def is_wrong(message: Any, expect: int) -> bool:
        return message.type in ("error", "warning") and f"status of {expect}" not in message.text

    def asked(url: str, address: str) -> None:
        if not url.startswith((f"{address}/", "data:", "blob:")):
            wrong.append(f"left the machine: {url}")

    yield run
    for context in contexts:
        context.close()
    assert wrong == []


def keep(page: Any, name: str) -> None:
    """Keep a picture for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("dark", "wide"), [(False, 1000), (True, 360)])
def test_a_row_is_filled_in_and_predicted(
    look: Look, people: Server, dark: bool, wide: int
) -> None:
    page = look(people, dark=dark, wide=wide)
    assert page.get_by_label("age").get_attribute("placeholder") == "40"
    page.get_by_label("age").fill("61,5")
    page.get_by_label("town").select_option("São Paulo")
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    row = {"age": 61.5, "income": None, "town": "São Paulo"}
    wanted = people.predict({"rows": [row]}).json["predictions"][0]
    assert page.inner_text("#said") == wanted["prediction"]
    share = max(wanted["probabilities"].values())
    assert page.inner_text(".row.best").split() == [
        wanted["prediction"],
        f"{100 * share:.1f}",
        "%",
    ]
    assert page.locator(".track").count() == 2
    assert page.evaluate("() => document.documentElement.scrollWidth") <= wide
    keep(page, f"serve-table-{'dark-phone' if dark else 'light'}")


def test_what_is_no_number_is_said_beside_its_field(look: Look, people: Server) -> None:
    page = look(people)
    page.get_by_label("age").fill("old")
    page.click("#send")
    assert "age: “old” is no number" in page.inner_text("#error")
    assert page.get_by_label("age").get_attribute("aria-invalid") == "true"
    page.get_by_label("age").fill("")
    page.click("#fill")
    assert page.get_by_label("income").input_value() == "25000"
    page.get_by_label("income").press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert page.is_hidden("#error")


def test_a_mistake_stands_beside_its_field_even_where_a_filter_hid_it(
    look: Look, serve: Serve, files: Path
) -> None:
    page = look(serve(files / "numbers.onnx"))
    page.get_by_label("x7", exact=True).fill("seven")
    page.locator("#filter").fill("x29")
    assert not page.get_by_label("x7", exact=True).is_visible()
    page.click("#send")
    assert page.inner_text(".field[data-name=x7] [role=alert]") == "x7: “seven” is no number"
    assert page.evaluate("() => document.activeElement.value") == "seven"
    page.get_by_label("x7", exact=True).fill("1,234")
    page.click("#send")
    assert "“1,234” may be 1.234 or 1234" in page.inner_text("#error")
    page.get_by_label("x7", exact=True).fill("0,234")
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    assert page.locator("[aria-invalid]").count() == 0


def test_a_category_is_sent_as_training_saw_it(look: Look, serve: Serve, tmp_path: Path) -> None:
    from tests.serve import models

    towns = ["Bonn", "Kyiv", " São  Paulo\t"]
    server = serve(models.table(tmp_path / "spaces.onnx", towns=towns))
    page = look(server)
    page.click("#fill")
    page.locator("select").select_option(index=3)
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    row = {"age": 40, "income": 25_000, "town": towns[2]}
    wanted = server.predict({"rows": [row]}).json["predictions"][0]["probabilities"]
    assert f"{100 * max(wanted.values()):.1f}" in page.inner_text(".row.best")


def test_of_many_categories_any_can_be_typed(look: Look, serve: Serve, tmp_path: Path) -> None:
    from tests.serve import models

    page = look(serve(models.table(tmp_path / "m.onnx", towns=[f"t{i}" for i in range(60)])))
    assert page.get_by_label("town").get_attribute("placeholder") == "t0"
    page.get_by_label("town").fill("t59")


def test_the_command_that_is_shown_works(look: Look, people: Server) -> None:
    page = look(people)
    page.click("summary")
    command = page.inner_text("pre code")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["predictions"]) == 1


def test_every_field_has_a_name_and_the_page_one_heading(look: Look, people: Server) -> None:
    page = look(people)
    for field in page.locator("input, select, textarea").all():
        assert page.locator(f"label[for={field.get_attribute('id')}]").count() == 1
    assert page.locator("h1").count() == 1
    assert page.locator("html[lang]").count() == 1


def test_a_digit_is_drawn_and_predicted(look: Look, serve: Serve, files: Path) -> None:
    page = look(serve(files / "images.onnx"))
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 20, steps=8)
    page.mouse.up()
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    assert page.locator(".track").count() == 10
    keep(page, "serve-digit")


def test_an_image_is_chosen_and_predicted(
    look: Look, serve: Serve, files: Path, tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (40, 30), (255, 255, 255)).save(tmp_path / "white.png")
    server = serve(files / "images.onnx")
    page = look(server)
    page.set_input_files("#file", tmp_path / "white.png")
    page.wait_for_function("() => pixels()[0][4][4] === 16")
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    wanted = server.predict({"rows": [[16] * 64]}).json["predictions"][0]["prediction"]
    assert page.inner_text("#said") == wanted


def test_an_image_file_is_read_as_training_read_its_files(
    look: Look, serve: Serve, tmp_path: Path
) -> None:
    import numpy as np
    from PIL import Image

    from tests.serve import models

    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 4)).astype(np.uint8)
    file = tmp_path / "noise.png"
    Image.fromarray(noise, "RGBA").save(file)
    data = {"source": "image_folder", "path": "pictures", "size": 8, "channels": "grey"}
    server = serve(models.images(tmp_path / "files.onnx", data=data))
    page = look(server)
    page.set_input_files("#file", file)
    page.wait_for_function("() => hasImage")
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    (wanted,) = server.predict(file.read_bytes(), "image/png").json["predictions"]
    share = 100 * max(wanted["probabilities"].values())
    assert page.inner_text(".row.best").split() == [wanted["prediction"], f"{share:.1f}", "%"]
    page.click("#invert")
    with page.expect_request("**/predict") as changed:
        page.click("#send")
    assert changed.value.headers["content-type"] == "application/json"


def test_texts_and_sequences_are_typed_in(look: Look, serve: Serve, files: Path) -> None:
    page = look(serve(files / "texts.onnx"))
    page.get_by_label("Text").fill("the good <b>one</b>")
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    assert page.locator(".track").count() == 2
    keep(page, "serve-text")
    page = look(serve(files / "sequences.onnx"))
    page.get_by_label("The sequence").fill("1, 2\n3, 4")
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#said") == "5"


def test_what_the_server_refuses_is_shown(look: Look, serve: Serve, files: Path) -> None:
    page = look(serve(files / "dates.onnx"), expect=422)
    page.get_by_label("seen").fill("tomorrow")
    page.click("#send")
    page.wait_for_selector("#error:not([hidden])")
    assert "rows[0].seen: column 'seen' holds dates" in page.inner_text("#error")
    assert page.get_by_label("seen").get_attribute("aria-invalid") == "true"


def test_a_browser_brings_the_token_once(look: Look, serve: Serve, files: Path) -> None:
    server = serve(files / "table.onnx", environment={"HPO_TOKEN": TOKEN})
    page = look(server, f"/?token={TOKEN}")
    assert TOKEN not in page.url
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")


def test_names_of_columns_and_classes_stay_text(look: Look, serve: Serve, tmp_path: Path) -> None:
    from tests.serve import models

    bad = '</script><img src=x onerror="window.hit=1">\'{{1}}'
    model = models.table(tmp_path / "bad.onnx", classes=["no", bad], name=bad)
    page = look(serve(model))
    page.click("#send")
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("h1") == bad
    assert bad in page.locator(".row span").all_inner_texts()
    assert page.evaluate("() => window.hit") is None

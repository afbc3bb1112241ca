"""The report as a person meets it: in a browser, from disk, at two widths."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from vitbench.cli.report import run

pytestmark = pytest.mark.browser

WIDTHS = (390, 1440)
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("VITBENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("no chromium: make test-browser installs it")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser, page: Path) -> Iterator[Page]:
    """Open the report; afterwards nothing was logged and nothing but the file was asked for."""
    yield from watched(chromium, page, 1440)


def watched(
    browser: Browser, path: Path, width: int, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("request", lambda request: asked.append(request.url))
    view.set_default_timeout(5_000)
    view.goto(path.as_uri())
    yield view
    view.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]


def names(view: Page) -> list[str]:
    rows = view.locator("#overview ~ .scroll tbody tr:not([hidden]) th")
    return [text.split("published")[0].strip() for text in rows.all_inner_texts()]


def measured(view: Page) -> list[str]:
    return [name for name in names(view) if " · " not in name]


def test_a_click_on_a_heading_sorts_and_another_turns_round(opened: Page) -> None:
    heading = opened.locator("#overview ~ .scroll thead button").nth(1)
    heading.click()
    assert measured(opened) == ["supervised-ti", "small-selfpatch", "small-dino"]
    heading.click()
    assert measured(opened) == ["small-dino", "small-selfpatch", "supervised-ti"]
    assert opened.locator("th[aria-sort=ascending]").count() == 1


def test_headings_sort_by_keyboard(opened: Page) -> None:
    opened.locator("#overview ~ .scroll thead button").first.focus()
    opened.keyboard.press("Enter")
    assert measured(opened) == ["small-dino", "small-selfpatch", "supervised-ti"]
    opened.keyboard.press("Enter")
    assert measured(opened) == ["supervised-ti", "small-selfpatch", "small-dino"]


def test_names_and_sources_filter(opened: Page) -> None:
    opened.fill("#find", "selfpatch small")
    assert names(opened) == ["small-selfpatch"]
    opened.fill("#find", "")
    opened.click("[data-show=published]")
    assert names(opened)
    assert not {"small-selfpatch", "small-dino"} & set(names(opened))
    opened.click("[data-show=measured]")
    assert set(names(opened)) == {"small-selfpatch", "small-dino", "supervised-ti"}


def test_a_clip_opens_with_the_runs_side_by_side_worst_first(opened: Page) -> None:
    gallery = opened.locator("details.gallery").first
    clips = gallery.locator("details.item > summary .id").all_inner_texts()
    assert clips[0] == "bmx-trees"
    item = gallery.locator("details.item").nth(1)
    assert item.locator("img").count() == 0  # made when they are looked at
    item.locator("summary").click()
    images = item.locator("img")
    images.first.wait_for()
    tops = {image.evaluate("image => image.getBoundingClientRect().top") for image in images.all()}
    assert images.count() == 9
    assert len(tops) == 3  # first, middle and worst frame: a row each
    assert "camel" in (images.first.get_attribute("alt") or "")
    assert images.first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 560


def test_a_picture_opens_large_and_the_arrow_keys_turn_over(opened: Page) -> None:
    opened.locator(".shot .open").first.click()
    shown = opened.locator("#viewer figcaption")
    first = shown.inner_text()
    opened.keyboard.press("ArrowRight")
    assert shown.inner_text() != first
    opened.keyboard.press("ArrowLeft")
    assert shown.inner_text() == first
    opened.keyboard.press("Escape")
    assert not opened.locator("#viewer").is_visible()


def test_the_button_turns_light_into_dark(opened: Page) -> None:
    def background() -> str:
        found: str = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        return found

    light = background()
    opened.click("#theme")
    assert background() != light


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_even_with_everything_open(
    chromium: Browser, page: Path, width: int, scheme: Scheme
) -> None:
    for view in watched(chromium, page, width, scheme):
        view.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        view.wait_for_timeout(200)
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        outside = view.evaluate(
            """() => [...document.querySelectorAll('body *')].filter(e => {
                const box = e.getBoundingClientRect();
                return box.width && box.right > innerWidth + 1 && !e.closest('.scroll, svg, .skip');
            }).map(e => e.className || e.tagName)"""
        )
        assert outside == []


def test_a_hostile_record_shows_its_name_and_does_nothing(
    chromium: Browser, results: Path, tmp_path: Path
) -> None:
    path = tmp_path / "all.html"
    run(["--results", str(results), "--format", "html", "--out", str(path)])
    for view in watched(chromium, path, 1440):
        assert view.locator("img[src=x]").count() == 0
        assert view.get_by_text("<img src=x onerror=alert(1)>").count() > 0


def test_every_picture_has_words_and_every_control_a_name(opened: Page) -> None:
    opened.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert opened.locator(".shot img:not([alt]), .shot img[alt='']").count() == 0
    nameless = opened.evaluate(
        """() => [...document.querySelectorAll('button, svg[role=img]')].filter(
            e => !e.textContent.trim() && !e.getAttribute('aria-label') && !e.querySelector('img')
        ).length"""
    )
    assert nameless == 0


def test_thousands_of_records_open_and_sort_at_once(
    chromium: Browser, crowd: Path, tmp_path: Path
) -> None:
    path = tmp_path / "crowd.html"
    run(["--results", str(crowd), "--format", "html", "--out", str(path)])
    for view in watched(chromium, path, 1440):
        start = time.perf_counter()
        view.locator("#overview ~ .scroll thead button").nth(1).click()
        view.locator("th[aria-sort]").wait_for()
        assert time.perf_counter() - start < 2
        assert "more subjects" in view.inner_text("main")

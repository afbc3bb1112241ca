"""The report as a person meets it: in a browser, from disk, at two widths."""

import csv
import io
import os
import re
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
    browser: Browser,
    path: Path,
    width: int,
    scheme: Literal["light", "dark"] = "light",
    fragment: str = "",
) -> Iterator[Page]:
    view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("request", lambda request: asked.append(request.url))
    view.set_default_timeout(5_000)
    view.goto(path.as_uri() + fragment)
    yield view
    view.close()
    assert said == []
    outside = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert {url.partition("#")[0] for url in outside} == {path.as_uri()}


def names(view: Page) -> list[str]:
    rows = view.locator("#overview ~ .scroll tbody tr:not([hidden]) th")
    return [re.split("published|floor", text)[0].strip() for text in rows.all_inner_texts()]


def measured(view: Page) -> list[str]:
    return [name for name in names(view) if " · " not in name]


def anchor(page: str, protocol: str) -> str:
    """Return where the first board of a protocol is in a page."""
    found = re.search(rf'<section id="(board-\d+)" class="board" data-protocol="{protocol}"', page)
    assert found is not None
    return found[1]


def open_duels(view: Page) -> None:
    view.locator("#versus-out > details > summary").click()


def test_a_click_on_a_heading_sorts_and_another_turns_round(opened: Page) -> None:
    heading = opened.locator("#overview ~ .scroll thead button").nth(1)
    heading.click()
    assert measured(opened) == ["supervised-ti", "small-selfpatch", "small-dino", "random-ti"]
    heading.click()
    assert measured(opened) == ["random-ti", "small-dino", "small-selfpatch", "supervised-ti"]
    assert opened.locator("th[aria-sort=ascending]").count() == 1


def test_headings_sort_by_keyboard(opened: Page) -> None:
    opened.locator("#overview ~ .scroll thead button").first.focus()
    opened.keyboard.press("Enter")
    assert measured(opened) == ["random-ti", "small-dino", "small-selfpatch", "supervised-ti"]
    opened.keyboard.press("Enter")
    assert measured(opened) == ["supervised-ti", "small-selfpatch", "small-dino", "random-ti"]


def test_names_and_sources_filter(opened: Page) -> None:
    opened.fill("#find", "selfpatch small")
    assert names(opened) == ["small-selfpatch"]
    assert not opened.locator("#verdict-table tbody tr", has_text="supervised").is_visible()
    opened.fill("#find", "")
    opened.click("[data-show=published]")
    assert names(opened)
    assert not {"small-selfpatch", "small-dino"} & set(names(opened))
    opened.click("[data-show=measured]")
    assert set(names(opened)) == {"small-selfpatch", "small-dino", "supervised-ti", "random-ti"}


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
    assert images.count() == 15  # of each of three frames: the truth, and four runs
    labels = item.locator(".together h4").all_inner_texts()
    assert labels == ["frame 10", "frame 20", "frame 30"]
    assert len(tops) == 3  # truth and runs of a frame side by side
    captions = item.locator("figcaption").all_inner_texts()
    assert [text for text in captions[:5] if text != "truth"] == captions[1:5]
    assert item.locator(".chart figcaption").all_inner_texts() == ["J over frames", "F over frames"]
    assert "camel" in (images.first.get_attribute("alt") or "")
    assert images.first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640


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


def test_the_verdict_says_who_wins_in_each_family_and_whether_that_is_sure(opened: Page) -> None:
    answers = {
        answer.locator(".of").inner_text().lower(): answer.locator(".said").inner_text()
        for answer in opened.locator(".answers li").all()
    }
    assert answers == dict.fromkeys(
        ("all protocols", "image-level", "video"), "✓ supervised-ti wins, sure"
    )
    assert opened.locator(".answers li").first.bounding_box()["y"] < 400  # type: ignore[index]
    rows = opened.locator("#verdict-table tbody th").all_inner_texts()
    assert rows == ["supervised-ti", "small-selfpatch", "small-dino"]  # a floor is no contestant
    floors = opened.locator("#overview ~ .scroll tr.reference th").all_inner_texts()
    assert [text.replace("\n", " ").split() for text in floors] == [["random-ti", "floor"]]


def test_two_runs_are_chosen_and_held_against_each_other(opened: Page) -> None:
    opened.select_option("#versus-a", "small-dino")
    opened.select_option("#versus-b", "random-ti")
    told = opened.locator("#versus-out > p").inner_text()
    rows = opened.locator("#versus-out > .scroll tbody tr")
    ends = [text.splitlines()[-1] for text in rows.all_inner_texts()]
    assert f"small-dino (A) is surely better on {ends.count('A is better')} board" in told
    assert "A is better" in ends
    assert rows.filter(has_text="knn · dino · shapes").count() == 1
    open_duels(opened)
    duel = opened.locator(".duel", has_text="knn").first
    assert "small-dino is better than random-ti" in duel.locator("p").first.inner_text()
    a, b, gap = (
        float(text) for text in duel.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    )
    assert gap == pytest.approx(b - a, abs=0.11)
    opened.click("#versus-swap")
    assert opened.input_value("#versus-a") == "random-ti"
    turned = duel.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    assert [float(text) for text in turned] == pytest.approx([b, a, -gap], abs=0.11)
    opened.select_option("#versus-b", "random-ti")
    assert opened.inner_text("#versus-out") == "Choose two runs."


def test_a_reference_is_chosen_in_the_leaderboard(opened: Page) -> None:
    opened.select_option("#against", "small-dino")
    table = opened.locator("#leaderboard table")
    place = next(
        number
        for number, text in enumerate(table.locator("thead th").all_inner_texts())
        if text.startswith("knn") and "shapes" in text
    )
    notes = {
        row.get_attribute("data-run"): row.locator("> *").nth(place).locator(".against")
        for row in table.locator("tbody tr").all()
    }
    assert notes["small-dino"].count() == 0
    assert notes["random-ti"].inner_text().startswith("-")
    assert notes["random-ti"].inner_text().endswith("sure")
    assert "is better than" in (notes["random-ti"].get_attribute("title") or "")
    opened.select_option("#against", "")
    assert opened.locator(".against").count() == 0


def test_an_item_that_changed_leads_to_its_pictures(opened: Page) -> None:
    open_duels(opened)
    duel = opened.locator(".duel", has_text="davis").first
    duel.locator("summary").click()
    changed = duel.locator("details a").all_inner_texts()
    assert changed
    duel.locator("details a", has_text="camel").click()
    board = anchor(opened.content(), "davis")
    item = opened.locator(f"[data-item='{board}/camel']")
    item.locator("img").first.wait_for()
    assert f"#item={board}%2Fcamel" in opened.url


def test_a_link_to_an_item_opens_it(chromium: Browser, page: Path) -> None:
    board = anchor(page.read_text(encoding="utf-8"), "davis")
    for view in watched(chromium, page, 1440, fragment=f"#item={board}%2Fkite-surf"):
        view.locator(f"[data-item='{board}/kite-surf'] img").first.wait_for()
        top = view.locator(f"[data-item='{board}/kite-surf']").bounding_box()
        assert top is not None
        assert 40 <= top["y"] < 900  # below the bar that stays


def test_a_family_or_protocol_is_chosen(opened: Page) -> None:
    open_duels(opened)
    boards = opened.locator("section.board:visible")
    every = boards.count()
    opened.select_option("#protocol", "family:video")
    assert 0 < boards.count() < every
    assert set(opened.locator("section.board:visible h2").all_inner_texts()) <= {
        "davis davis/val",
        "davis davis-2017/val",
    }
    heads = opened.locator("#leaderboard thead th:visible button").all_inner_texts()
    assert all(text.startswith(("checkpoint", "davis")) for text in heads)
    assert all("davis" in text for text in opened.locator(".duel h3").all_inner_texts())
    opened.select_option("#protocol", "protocol:knn")
    assert all("knn" in text for text in boards.locator("h2").all_inner_texts())
    opened.select_option("#protocol", "")
    assert boards.count() == every


def test_columns_are_chosen_and_a_table_is_taken_along_as_csv(opened: Page) -> None:
    board = opened.locator("section.board", has=opened.locator("h2", has_text="shapes/val")).first
    board.locator(".columns summary").first.click()
    board.locator(".columns label", has_text="top-1 top1_k100").first.click()
    with opened.expect_download() as waiting:
        board.locator(".download").first.click()
    path = waiting.value.path()
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert waiting.value.suggested_filename == "knn.csv"
    assert "top-1 top1_k100" not in rows[0]
    assert rows[0]["checkpoint"] == "supervised-ti"
    assert float(rows[0]["top-1 top1_k20"]) == pytest.approx(96.0)  # as it is kept, not as shown


def test_keys_lead_to_the_filter_the_protocols_and_the_comparison(opened: Page) -> None:
    for key, place in (("c", "versus-a"), ("p", "protocol"), ("/", "find")):
        opened.evaluate("document.activeElement.blur()")
        opened.keyboard.press(key)
        assert opened.evaluate("document.activeElement.id") == place
    opened.keyboard.type("/pc")  # which are letters there
    assert opened.input_value("#find") == "/pc"


def test_only_the_page_s_own_script_may_run(chromium: Browser, page: Path) -> None:
    view = chromium.new_page()
    view.goto(page.as_uri())
    view.evaluate(
        """() => {
            const stranger = document.createElement('script');
            stranger.textContent = 'window.stranger = 1';
            document.body.append(stranger);
            document.body.insertAdjacentHTML('beforeend', '<b onclick="window.stranger = 1">x</b>');
            document.body.lastElementChild.click();
        }"""
    )
    assert view.evaluate("window.stranger") is None
    assert view.evaluate("fetch('https://example.org').then(() => 1, () => 0)") == 0
    view.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(chromium: Browser, page: Path, scheme: Scheme) -> None:
    place = Path(os.environ.get("VITBENCH_AXE", "build/axe/node_modules/axe-core/axe.min.js"))
    if not place.is_file():
        pytest.fail("no axe-core: make test-browser installs it")
    for view in watched(chromium, page, 1440, scheme):
        view.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        view.evaluate(place.read_text(encoding="utf-8"))
        found = view.evaluate("axe.run().then(found => found.violations)")
        serious = [
            (fault["id"], node["html"][:150], node["failureSummary"])
            for fault in found
            if fault["impact"] in {"serious", "critical"}
            for node in fault["nodes"][:3]
        ]
        assert serious == []


def test_thousands_of_images_are_compared_at_once(
    chromium: Browser, many_images: Path, tmp_path: Path
) -> None:
    path = tmp_path / "many.html"
    run(["--results", str(many_images), "--format", "html", "--out", str(path)])
    assert path.stat().st_size < 3_000_000
    for view in watched(chromium, path, 1440):
        open_duels(view)
        start = time.perf_counter()
        view.select_option("#versus-a", "run-0")
        view.locator(".duel summary", has_text="of 5,000 images changed").wait_for()
        assert time.perf_counter() - start < 2

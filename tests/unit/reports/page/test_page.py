import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.records import Cost, Record, write_record
from vitbench.reports.page import html
from vitbench.reports.page.pictures import Album, files, item_of
from vitbench.reports.table import build_table

MakeRecord = Callable[..., Record]
HOSTILE = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\x1b[0m"


class Tags(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_the_page_is_one_file_that_names_no_other() -> None:
    page = html(build_table([], compare=("dino", "selfpatch", "esvit")))
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert "@import" not in page
    assert "default-src 'none'" in page
    for value in ("28.0", "30.7", "27.9", "57.0", "55.1", "53.5", "published"):
        assert value in page


def test_the_title_counts_one_as_one(make_record: MakeRecord) -> None:
    alone, both = (
        html(build_table([make_record(name) for name in names])) for names in (("a",), ("a", "b"))
    )
    assert "1 checkpoint on 1 board<" in alone
    assert "2 checkpoints on 1 board<" in both


def test_a_hostile_record_adds_no_tag_and_no_handler(make_record: MakeRecord) -> None:
    tame, rogue = make_record("tame"), make_record(HOSTILE)
    rogue = replace(
        rogue,
        notes=(HOSTILE,),
        command=HOSTILE,
        started_at=HOSTILE,
        protocol=replace(rogue.protocol, preset=HOSTILE, settings={HOSTILE: HOSTILE}),
        scores=tuple(replace(score, label=HOSTILE) for score in rogue.scores),
    )
    same = replace(tame, notes=("n",), command="c", started_at="s")
    same = replace(same, protocol=replace(same.protocol, preset="p", settings={"k": "v"}))
    found, expected = (Tags(html(build_table([record]))) for record in (rogue, same))
    assert found.names == expected.names
    assert found.handlers == []
    assert "\x1b" not in html(build_table([rogue]))
    assert ">49<" not in html(build_table([rogue]))


def test_hostile_names_stay_in_the_data_of_the_script(make_record: MakeRecord) -> None:
    page = html(build_table([make_record(HOSTILE, 1.0), make_record(HOSTILE + "2", 2.0)]))
    (data,) = re.findall(r'id="versus-data">(.*?)</script>', page, flags=re.S)
    assert len(json.loads(data)["runs"]) == 2
    assert "<" not in data


def test_face_to_face_begins_with_the_runs_that_share_most_boards(make_record: MakeRecord) -> None:
    records = [make_record(name, value) for name, value in (("a", 9.0), ("b", 8.0), ("c", 7.0))]
    other = {"name": "retrieval", "spec_id": "r"}
    records += [make_record(name, 5.0, protocol=other) for name in ("b", "c")]
    page = html(build_table(records))
    (data,) = re.findall(r'id="versus-data">(.*?)</script>', page, flags=re.S)
    assert json.loads(data)["pair"] == ["b", "c"]


def test_boards_stand_in_the_order_of_their_families(make_record: MakeRecord) -> None:
    names = ("profile", "davis", "adjacency", "knn", "health", "correspondence")
    records = [make_record("a", protocol={"name": name, "spec_id": name}) for name in names]
    order = [board.protocol.name for board in build_table(records).boards]
    assert order == ["knn", "adjacency", "correspondence", "davis", "health", "profile"]
    page = html(build_table(records))
    places = [page.index(f'-title">{name} ') for name in order]
    assert places == sorted(places)


def test_the_policy_names_the_one_script_of_the_page(make_record: MakeRecord) -> None:
    page = html(build_table([make_record("a"), make_record("b")]))
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_costs_come_from_the_profile_and_never_from_wall_seconds(make_record: MakeRecord) -> None:
    records = []
    for number, name in enumerate(("one", "other"), start=1):
        subject = {"sha256": f"{number}" * 64}
        records.append(replace(make_record(name, 50.0, subject=subject), cost=Cost(seconds=9.0)))
        profile = make_record(name, subject=subject, protocol={"name": "profile", "spec_id": "p"})
        scores = tuple(
            replace(profile.scores[0], metric=axis, value=value * number)
            for axis, value in (("flops", 1.5), ("images_per_second", 70.0))
        )
        records.append(replace(profile, scores=scores))
    page = html(build_table(records))
    assert "top-1 (k=20) against GFLOPs an image" in page
    assert "top-1 (k=20) against images/s, as profiled" in page
    assert "seconds" not in re.sub(r"<(style|script).*?</\1>|<footer.*", "", page, flags=re.S)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308, -1e308, None])
def test_numbers_out_of_reach_leave_the_page_whole(
    make_record: MakeRecord, value: float | None
) -> None:
    odd = make_record("odd", value)
    odd = replace(odd, cost=replace(odd.cost, seconds=1e308, images_per_second=1e308))
    page = html(build_table([odd, make_record("fine", 50.0)]))
    assert "nan" not in re.sub(r"<script>.*</script>", "", page, flags=re.S).lower()
    assert "fine" in page


def test_pictures_come_from_the_folder_of_the_record_only(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    (tmp_path / "knn" / "run").mkdir(parents=True)
    for place in ("secret.png", "knn/run/own.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / place)
    (tmp_path / "knn" / "run" / "link.png").symlink_to(tmp_path / "secret.png")
    record = make_record(
        artifacts={
            "own": "run/own.png",
            "above": "../secret.png",
            "absolute": str(tmp_path / "secret.png"),
            "link": "run/link.png",
            "missing": "run/none.png",
        }
    )
    assert [file.name for file in files(record, [tmp_path])] == ["own"]


def test_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("<script>alert(1)</script>")
    assert Album().embed(path) is None


@pytest.mark.parametrize(("name", "width"), [("big.jpg", 640), ("drawn.png", 1200)])
def test_a_picture_is_made_small_and_written_anew(tmp_path: Path, name: str, width: int) -> None:
    Image.new("RGB", (2000, 1000)).save(tmp_path / name)
    image = Album().embed(tmp_path / name)
    assert image is not None
    assert (image.width, image.height) == (width, width // 2)
    assert image.address.startswith("data:image/webp;base64,")


def test_once_the_room_is_spent_pictures_are_only_counted(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50)).save(tmp_path / "one.png")
    album = Album(budget=10)
    assert album.embed(tmp_path / "one.png") is not None
    assert album.embed(tmp_path / "one.png") is None
    assert album.omitted == 1


def test_a_picture_belongs_to_the_item_that_its_name_holds() -> None:
    ids = {"bmx", "bmx-trees", "two words"}
    assert item_of("overlay bmx-trees worst", ids) == "bmx-trees"
    assert item_of("pca two words", ids) == "two words"
    assert item_of("histogram", ids) == ""


def test_classes_are_told_by_their_folders_largest_difference_first(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    ids = np.array([f"{name}/{number}.png" for name in ("cat", "dog") for number in range(50)])
    for name, cats in (("one", 40), ("other", 10)):
        right = 100.0 * np.array([*(n < cats for n in range(50)), *(n < 30 for n in range(50))])
        record = make_record(name, float(right.mean()))
        record = replace(record, items=f"{name}.{record.id[:8]}.items.npz")
        write_record(record, tmp_path, {"ids": ids, "top1_k20": right})
    from vitbench.records import read_records

    page = html(build_table(read_records(tmp_path), folder=tmp_path))
    assert page.index(">cat<") < page.index(">dog<")
    assert "-60.0" in page or "+60.0" in page


def test_a_picture_that_is_the_same_for_every_run_is_shown_once(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    records = []
    for number, name in enumerate(("one", "other")):
        folder = tmp_path / "knn" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(folder / "image.png")
        Image.new("RGB", (8, 8), (0, 0, 100 * number)).save(folder / "pca.png")
        named = {kind: f"{name}/{kind}.png" for kind in ("image", "pca")}
        records.append(make_record(name, 50.0 + number, artifacts=named))
    page = html(build_table(records, folder=tmp_path))
    assert page.count("<figcaption>image<") == 1
    assert page.index("<figcaption>image<") < page.index("<figcaption>other<")  # in the row of pca
    assert page.count('<div class="together">') == 1
    assert page.count('<figure class="shot">') == 3

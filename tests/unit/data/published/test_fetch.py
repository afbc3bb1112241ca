"""Sets that are fetched from a local server which breaks off, lies, and sends other archives."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.local_server import Server, broken, reply
from tests.unit.data.published.conftest import archive, served
from vitbench.data.dataset import readers
from vitbench.data.published.check import check_set
from vitbench.data.published.fetch import WORK, fetch, plan_fetch
from vitbench.data.published.sets import find_set
from vitbench.errors import ChecksumMismatch, DatasetError, DownloadError, UnknownName


def test_a_set_arrives_where_its_reader_looks(server: Server, tmp_path: Path) -> None:
    wanted = served("davis", server)
    server.answers = [reply(archive("clips", tmp_path, below="DAVIS"))]
    told: list[str] = []
    fetch(plan_fetch(wanted, tmp_path / "data"), progress=lambda task, *_: told.append(task))
    assert len(readers.get("clips").open(tmp_path / "data" / "davis", "val")) > 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["davis"]
    assert [told[0].split()[0], told[-1].split()[0]] == ["download", "unpack"]


def test_a_connection_that_breaks_off_goes_on_and_gives_the_same_set(
    server: Server, tmp_path: Path
) -> None:
    body = archive("clips", tmp_path, below="DAVIS")
    sha256 = hashlib.sha256(body).hexdigest()
    wanted = served("davis", server, sha256=sha256, size_bytes=len(body))
    server.answers = [reply(body[:5000], claim=len(body)), broken(500), reply(body)]
    fetch(plan_fetch(wanted, tmp_path / "data"), wait=0)
    assert server.asked == ["", "bytes=5000-", "bytes=5000-"]
    assert (tmp_path / "data" / "davis" / "ImageSets" / "2017" / "val.txt").is_file()


def test_a_later_call_goes_on_with_the_part_of_an_earlier_one(
    server: Server, tmp_path: Path
) -> None:
    body = archive("instances", tmp_path, below="coco")
    wanted = served("coco", server, strip="coco", into="")
    server.answers = [reply(body[:5000], claim=len(body)), broken(500)]
    with pytest.raises(DownloadError, match="500"):
        fetch(plan_fetch(wanted, tmp_path / "data"), wait=0)
    assert not (tmp_path / "data" / "coco").exists()
    server.answers = [reply(body)]
    fetch(plan_fetch(wanted, tmp_path / "data"), wait=0)
    assert server.asked[-1] == "bytes=5000-"
    assert len(readers.get("instances").open(tmp_path / "data" / "coco", "val")) > 0


def test_other_bytes_than_the_published_ones_are_never_unpacked(
    server: Server, tmp_path: Path
) -> None:
    wanted = served("davis", server, sha256=hashlib.sha256(b"the real one").hexdigest())
    server.answers = [reply(archive("clips", tmp_path, below="DAVIS"))]
    with pytest.raises(ChecksumMismatch):
        fetch(plan_fetch(wanted, tmp_path / "data"))
    assert not (tmp_path / "data" / "davis").exists()


@pytest.mark.parametrize(
    ("below", "message"),
    [("elsewhere", "a folder 'DAVIS' in it"), ("DAVIS/DAVIS", "ImageSets/2017/val.txt in it")],
)
def test_another_archive_leaves_no_set(
    below: str, message: str, server: Server, tmp_path: Path
) -> None:
    server.answers = [reply(archive("clips", tmp_path, below=below))]
    with pytest.raises(DatasetError, match=message):
        fetch(plan_fetch(served("davis", server), tmp_path / "data"))
    assert not (tmp_path / "data" / "davis").exists()


def test_what_is_there_is_neither_fetched_again_nor_replaced(
    server: Server, tmp_path: Path
) -> None:
    wanted = served("davis", server)
    server.answers = [reply(archive("clips", tmp_path, below="DAVIS"))]
    root = tmp_path / "data" / "davis"
    fetch(plan_fetch(wanted, tmp_path / "data"))
    assert plan_fetch(wanted, tmp_path / "data").missing == []
    own = root / "JPEGImages" / "mine.txt"
    own.write_text("kept")
    shutil.rmtree(root / "ImageSets")
    with pytest.raises(DatasetError, match="in the way"):
        fetch(plan_fetch(wanted, tmp_path / "data"))
    assert own.read_text() == "kept"


def test_archives_are_kept_on_request(server: Server, tmp_path: Path) -> None:
    server.answers = [reply(archive("clips", tmp_path, below="DAVIS"))]
    fetch(plan_fetch(served("davis", server), tmp_path / "data"), keep=True)
    assert (tmp_path / "data" / WORK / "davis" / "davis.zip").is_file()


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="no room"):
        fetch(plan_fetch(served("davis", server, size_bytes=1 << 60), tmp_path))
    assert server.asked == []


def test_an_optional_part_is_fetched_only_when_it_is_asked_for(tmp_path: Path) -> None:
    usual = plan_fetch(find_set("coco"), tmp_path)
    more = plan_fetch(find_set("coco"), tmp_path, ["train"])
    assert more.size_bytes - usual.size_bytes == 19336861798
    with pytest.raises(UnknownName, match="part of coco"):
        plan_fetch(find_set("coco"), tmp_path, ["test"])


def test_a_set_behind_terms_says_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"image-net\.org"):
        plan_fetch(find_set("imagenet"), tmp_path)


def test_a_part_of_a_set_is_called_a_subset(server: Server, tmp_path: Path) -> None:
    wanted = served("davis", server)
    server.answers = [reply(archive("clips", tmp_path, below="DAVIS"))]
    fetch(plan_fetch(wanted, tmp_path))
    checked = check_set(wanted, tmp_path / "davis")
    assert checked.verdict.startswith("a subset")
    assert checked.faults == []

"""Downloads against a local server that breaks off, lies and sends wrong bytes."""

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.local_server import Server, broken, reply, running
from vitbench.download import download
from vitbench.errors import ChecksumMismatch, DownloadError

BODY = bytes(range(256)) * 40
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


def test_a_file_arrives_whole_and_tells_how_far_it_is(server: Server, tmp_path: Path) -> None:
    server.answers = [reply(BODY)]
    told: list[tuple[int, int]] = []
    found = download(
        server.url, tmp_path / "w.pth", progress=lambda done, total: told.append((done, total))
    )
    assert found == SHA256
    assert (tmp_path / "w.pth").read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    server.answers = [reply(BODY)]
    for _ in range(2):
        download(server.url, tmp_path / "w.pth")
    assert len(server.asked) == 1


def test_a_connection_that_breaks_off_goes_on_where_it_stopped(
    server: Server, tmp_path: Path
) -> None:
    server.answers = [reply(BODY[:3000], claim=len(BODY)), reply(BODY)]
    assert download(server.url, tmp_path / "w.pth", sha256=SHA256, wait=0) == SHA256
    assert server.asked == ["", "bytes=3000-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.answers = [reply(BODY[:3000], claim=len(BODY)), broken(500)]
    with pytest.raises(DownloadError, match="500"):
        download(server.url, tmp_path / "w.pth", wait=0)
    assert not (tmp_path / "w.pth").exists()
    server.answers = [reply(BODY)]
    assert download(server.url, tmp_path / "w.pth", wait=0) == SHA256
    assert server.asked[-1] == "bytes=3000-"


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(
    server: Server, tmp_path: Path
) -> None:
    server.answers = [reply(BODY[:3000], claim=len(BODY)), reply(BODY, ranges=False)]
    assert download(server.url, tmp_path / "w.pth", wait=0) == SHA256


@pytest.mark.parametrize("size_bytes", [0, len(BODY) + 500])
def test_a_server_that_promises_more_than_it_has_fails(
    server: Server, tmp_path: Path, size_bytes: int
) -> None:
    server.answers = [reply(BODY, claim=len(BODY) + 500)]
    with pytest.raises(DownloadError, match="can't be downloaded"):
        download(server.url, tmp_path / "w.pth", size_bytes=size_bytes, wait=0)
    assert not (tmp_path / "w.pth").exists()


def test_a_part_that_was_whole_already_is_taken(server: Server, tmp_path: Path) -> None:
    def nothing_more(request: BaseHTTPRequestHandler, start: int) -> None:
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{start}")
        request.send_header("Content-Length", "0")
        request.end_headers()

    (tmp_path / "w.pth.part").write_bytes(BODY)
    server.answers = [nothing_more]
    assert download(server.url, tmp_path / "w.pth", wait=0) == SHA256


def test_a_server_that_sends_less_than_the_manifest_says_fails(
    server: Server, tmp_path: Path
) -> None:
    server.answers = [reply(BODY, claim=100)]
    with pytest.raises(DownloadError, match=r"another file(.|\n)*100 bytes"):
        download(server.url, tmp_path / "w.pth", size_bytes=len(BODY), wait=0)


def test_wrong_bytes_are_deleted(server: Server, tmp_path: Path) -> None:
    server.answers = [reply(BODY[::-1])]
    with pytest.raises(ChecksumMismatch, match=SHA256):
        download(server.url, tmp_path / "w.pth", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_checksum_is_the_first_downloads(server: Server, tmp_path: Path) -> None:
    server.answers = [reply(BODY)]
    download(server.url, tmp_path / "w.pth")
    (tmp_path / "w.pth").unlink()
    server.answers = [reply(BODY[::-1])]
    with pytest.raises(ChecksumMismatch):
        download(server.url, tmp_path / "w.pth")


def test_a_file_changed_on_disk_is_noticed(server: Server, tmp_path: Path) -> None:
    server.answers = [reply(BODY)]
    download(server.url, tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(BODY[:-1] + b"!")
    with pytest.raises(ChecksumMismatch):
        download(server.url, tmp_path / "w.pth")


def test_a_file_that_is_not_there_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.answers = [broken(404)]
    with pytest.raises(DownloadError, match="404"):
        download(server.url, tmp_path / "w.pth", wait=60)
    assert len(server.asked) == 1


def test_no_server_is_an_error_that_says_where_to_put_the_file(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"put it at .*w\.pth"):
        download("http://127.0.0.1:1/w.pth", tmp_path / "w.pth", wait=0)

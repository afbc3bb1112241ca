"""Bundles uploaded to a double of the Hugging Face Hub on this machine."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from vitbench.cli.report import run
from vitbench.errors import RecordError, SettingError
from vitbench.records import Record, write_record

MakeRecord = Callable[..., Record]


class Hub:
    """Keeps one repository's files as the Hub's own service does for small ones."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.made: list[dict[str, Any]] = []
        self.refuses = 0  # status of every answer; 0: none
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listed = [
                    {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
                    for path, content in outer.files.items()
                ]
                self._answer(listed if "/tree/" in self.path else {"id": "me/runs"})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.refuses:
                    return self._answer({"error": "who are you?"}, outer.refuses)
                if self.path == "/api/repos/create":
                    outer.made.append(json.loads(body))
                    return self._answer({"url": f"{outer.root}/datasets/me/runs"})
                if "/preupload/" in self.path:
                    asked = [file["path"] for file in json.loads(body)["files"]]
                    modes = [
                        {"path": path, "uploadMode": "regular", "shouldIgnore": False}
                        for path in asked
                    ]
                    return self._answer({"files": modes})
                assert "/commit/" in self.path
                outer.commit([json.loads(line) for line in body.splitlines()])
                url = f"{outer.root}/datasets/me/runs/commit/1"
                return self._answer({"commitUrl": url, "commitOid": "1" * 40, "success": True})

            def _answer(self, content: object, status: int = 200) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                del args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.server.server_port}"

    def commit(self, lines: list[dict[str, Any]]) -> None:
        """Take files in, and out."""
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del self.files[value["path"]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", made.root)
    monkeypatch.setenv("HF_TOKEN", "hf_double")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def results(make_record: MakeRecord, tmp_path: Path) -> Path:
    write_record(make_record("mine", 60.0), tmp_path / "results")
    return tmp_path / "results"


def test_a_bundle_on_the_hub_is_the_bundle(
    hub: Hub, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files = {"records/knn/old.json": b"{}", "README.md": b"about"}
    bundle = tmp_path / "bundle"
    assert run([str(results), "--bundle", str(bundle), "--push", "me/runs"]) == 0
    assert f"{hub.root}/datasets/me/runs" in capsys.readouterr().out
    (made,) = hub.made
    assert (made["name"], made["type"]) == ("runs", "dataset")
    assert made.get("visibility") == "private" or made.get("private") is True  # by version
    there = {
        path.relative_to(bundle).as_posix(): path.read_bytes()
        for path in bundle.rglob("*")
        if path.is_file()
    }
    assert hub.files.pop("README.md") == b"about"
    assert hub.files == there  # and no record of an earlier one
    copy = tmp_path / "copy"
    for name, content in hub.files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)
    assert run([str(copy), "--format", "csv"]) == 0
    assert "mine" in capsys.readouterr().out


def test_a_login_that_is_refused_leaves_the_bundle_and_says_what_to_do(
    hub: Hub, results: Path, tmp_path: Path
) -> None:
    hub.refuses = 401
    bundle = tmp_path / "bundle"
    with pytest.raises(RecordError, match="hf auth login") as caught:
        run([str(results), "--bundle", str(bundle), "--push", "me/runs"])
    assert "could not be uploaded to 'me/runs'" in str(caught.value)
    assert (bundle / "SHA256SUMS").is_file()
    assert hub.files == {}


def test_a_name_that_no_repository_has_is_refused(hub: Hub, results: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="OWNER/NAME"):
        run([str(results), "--bundle", str(tmp_path / "bundle"), "--push", "a/b/c"])
    assert hub.made == []


def test_only_a_bundle_can_be_pushed(results: Path) -> None:
    with pytest.raises(SettingError, match="--push needs a bundle"):
        run([str(results), "--push", "me/runs"])

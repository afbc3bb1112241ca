"""Archives that try to write elsewhere, that are cut off, or that never end."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.unit.data.published.conftest import tar
from vitbench.data.published import unpack as module
from vitbench.data.published.unpack import unpack
from vitbench.errors import DatasetError


def zipped(path: Path, *names: str, body: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, body)
    return path


def link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("set/link")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


@pytest.mark.parametrize("name", ["../evil", "/evil", "set/../../evil", "C:/evil", "a\\..\\evil"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    for archive in (
        zipped(tmp_path / "a.zip", name),
        tar(tmp_path / "a.tar", tarfile.TarInfo(name)),
    ):
        with pytest.raises(DatasetError, match="leads out"):
            unpack(archive, tmp_path / "into")
    assert {path.name for path in tmp_path.rglob("*")} <= {"a.zip", "a.tar", "into"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="link or device"):
        unpack(tar(tmp_path / "a.tar", link(kind)), tmp_path / "into")


def test_a_link_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("set/link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(entry, "/etc/passwd")
    with pytest.raises(DatasetError, match="a link"):
        unpack(tmp_path / "a.zip", tmp_path / "into")


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    member = tarfile.TarInfo("set/one")
    with pytest.raises(DatasetError, match="two files"):
        unpack(tar(tmp_path / "a.tar", member, member), tmp_path / "into")


def test_an_archive_that_grows_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALLEST_LIMIT", 1 << 16)
    archive = zipped(tmp_path / "a.zip", "set/zeros", body=bytes(1 << 22))
    with pytest.raises(DatasetError, match="more than 2"):
        unpack(archive, tmp_path / "into")
    assert (tmp_path / "into" / "set" / "zeros").stat().st_size <= 1 << 18


@pytest.mark.parametrize("suffix", ["zip", "tar.gz", "tar"])
def test_an_archive_that_is_cut_off_is_named(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "noise").write_bytes(bytes(range(256)) * 4000)
    path = tmp_path / f"a.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.write(tmp_path / "set" / "noise", "set/noise")
    else:
        with tarfile.open(path, "w:gz" if suffix == "tar.gz" else "w") as packed:
            packed.add(tmp_path / "set", "set")
    path.write_bytes(path.read_bytes()[:-2000] if suffix != "tar" else path.read_bytes()[:900_000])
    with pytest.raises(DatasetError, match="damaged or cut off"):
        unpack(path, tmp_path / "into")


def test_what_lies_beside_the_folder_is_left(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", "set/a/1", "set/2", "other/3", "__MACOSX/set/._2")
    assert unpack(archive, tmp_path / "into", strip="set") == 2
    found = {path.relative_to(tmp_path / "into").as_posix() for path in tmp_path.rglob("*[123]")}
    assert found == {"a/1", "2"}

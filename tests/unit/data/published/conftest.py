import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.local_server import Server, running
from vitbench.data.dataset import data_root
from vitbench.data.published.sets import PublishedSet, find_set


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


def archive(kind: str, into: Path, *, below: str) -> bytes:
    """Pack the small built-in set of a kind, below one folder, as the published archive is."""
    folder = data_root("synthetic", kind)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    name = into / f"{kind}.zip"
    with zipfile.ZipFile(name, "w") as packed:
        packed.writestr(f"__MACOSX/{below}/._x", b"carried along")
        for path in files:
            packed.write(path, f"{below}/{path.relative_to(folder).as_posix()}")
    return name.read_bytes()


def served(name: str, server: Server, **facts: object) -> PublishedSet:
    """The published set, with one archive that the local server has."""
    wanted = find_set(name)
    one = replace(wanted.archives[0], url=f"{server.root}/{name}.zip", sha256="", size_bytes=0)
    return replace(wanted, archives=(replace(one, **facts),))  # type: ignore[arg-type]


def tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as file:
        for member in members:
            file.addfile(member)
    return path

"""What is known of a published data set: one TOML file each. Imports no torch."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from vitbench.errors import UnknownName


def _below(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{text!r} leads out of the folder")
    return text


Line = Annotated[str, Field(min_length=1)]
Below = Annotated[str, AfterValidator(_below)]  # a path in a folder, or "" for the folder itself
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+/\S*[^\s/]$")]
Page = Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One file that is downloaded for a set."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    url: Url
    provides: Annotated[Below, Field(min_length=1)]  # a path of the set that shows it is unpacked
    size_bytes: Annotated[int, Field(ge=0)] = 0  # 0: not published
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""  # empty: not published
    strip: Below = ""  # folder in the archive whose content is taken
    into: Below = ""  # folder of the set that the content is put into
    unpack: bool = True  # False: the file itself is put there
    part: str = ""  # left out unless this part is asked for

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(urlsplit(self.url).path).name


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a whole copy holds in some place."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    paths: Annotated[Below, Field(min_length=1)]  # shell pattern
    count: Annotated[int, Field(gt=0)]
    what: Line
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSet:
    """Facts about one published data set."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^\w+$")]
    folder: Annotated[Below, Field(min_length=1)]  # its name below $VITBENCH_DATA
    title: Line
    homepage: Page
    paper: Line
    license: Line
    layout: Line  # the tree that the readers expect
    note: str = ""  # what else must be known to get it or to use it
    # kind of data -> split -> items of a whole copy
    splits: Mapping[str, Mapping[str, Annotated[int, Field(gt=0)]]] = Field(default_factory=dict)
    contents: tuple[Content, ...] = ()
    archives: tuple[Archive, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of what is downloaded only when it is asked for."""
        return tuple(dict.fromkeys(each.part for each in self.archives if each.part))

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the facts from the text of a TOML file."""
        return TypeAdapter(cls).validate_python(tomllib.loads(text))


def set_names() -> list[str]:
    """List the sets that have a file, sorted."""
    own = files("vitbench.data.published").iterdir()
    return sorted(each.name.removesuffix(".toml") for each in own if each.name.endswith(".toml"))


@cache
def find_set(name: str) -> PublishedSet:
    """Return what is known of a set, by its name or that of its folder.

    Raises:
        UnknownName: Nothing is known of a set of that name.
    """
    names = set_names()
    if name in names:
        path = files("vitbench.data.published") / f"{name}.toml"
        return PublishedSet.read(path.read_text(encoding="utf-8"))
    by_folder = {find_set(each).folder.casefold(): each for each in names}
    if name.casefold() in by_folder:
        return find_set(by_folder[name.casefold()])
    raise UnknownName("published data set", name, names, hint="vitbench data list")


def whole_counts(folder: str) -> Mapping[str, Mapping[str, int]]:
    """Return the items of each kind and split of the set that is kept in a folder of this name."""
    try:
        return find_set(folder).splits
    except UnknownName:
        return {}

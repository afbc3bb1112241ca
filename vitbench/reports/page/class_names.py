"""Names of classes whose folders have numbers: ImageNet's WordNet ids."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

WNID = re.compile(r"n\d{8}$")
LEMMAS = "data/_info/imagenet_synset_to_lemma.txt"  # of the timm package: id, tab, words


def class_name(folder: str) -> str:
    """Return the name of a class for its folder: `tench (n01440764)`, else the folder's own."""
    if not WNID.match(folder):
        return folder
    words = _lemmas().get(folder, "")
    return f"{words} ({folder})" if words else folder


@cache
def _lemmas() -> dict[str, str]:
    """Read ImageNet's names from timm's files, without importing timm."""
    spec = find_spec("timm")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place) / LEMMAS
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            pairs = (line.partition("\t") for line in lines)
            return {wnid: words.partition(",")[0] for wnid, _, words in pairs}
    return {}

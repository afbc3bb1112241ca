"""Find the weights of a network of timm inside a file, and its keys among those of the file."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from vitbench.errors import CheckpointError, StateMismatch, listed
from vitbench.models.recognize_format import Format, Recognized, recognize, unwrapped
from vitbench.models.state_dict import State
from vitbench.models.state_dict_formats import WRAPPERS
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_build import conversion_of
from vitbench.models.timm_formats import TIMM_FORMATS
from vitbench.models.timm_info import classifier_names
from vitbench.models.timm_network import COUNTERS, TimmNetwork
from vitbench.models.weight_places import dictionaries, inside, tensors_of
from vitbench.models.weight_values import check_dense

BY_TIMM = Format(
    name="timm",
    about="a network of timm, by timm's names or by names that timm converts",
    at=("",),
    signs=(),
    position_rule="own",
)


def recognize_timm(
    content: Mapping[str, Any],
    architecture: TimmArchitecture,
    *,
    subject: str,
    state_key: str | None = None,
    ignore: Sequence[str] = (),
) -> Recognized:
    """Find the weights of a network of timm in a file.

    Of the dictionaries in the file, that counts which has most of the network's names, or none
    having any, most tensors; of equals the first.
    Classifiers are left out. Names that are not timm's go through timm's own conversion.

    Args:
        content: What the file holds.
        architecture: The network.
        subject: What an error names.
        state_key: Dotted path of the weights inside the file.
        ignore: More patterns of keys to leave out.

    Raises:
        StateMismatch: If nothing in the file has names of this network.
    """
    network = TimmNetwork(architecture)
    expected = network.own_state()
    by_layout = _by_layout(content, expected, subject, state_key, tuple(ignore))
    if by_layout is not None:
        return by_layout
    places = dict(dictionaries(content))
    if state_key is not None:
        places = {state_key: inside(content, state_key)}
    found = {where: _our_names(tensors_of(here), expected) for where, here in places.items()}
    where = max(found, key=lambda at: (len(found[at].keys() & expected.keys()), len(found[at])))
    names = found[where]  # our name: name in the file
    tensors = tensors_of(places[where])
    state: State = {name: tensors[key] for name, key in names.items()}
    if not names.keys() >= expected.keys():
        state = _converted(network, state)
    if not state.keys() & expected.keys():
        raise StateMismatch(
            f"{subject}: nothing in it has the names of a {architecture.name}.",
            expected=f"keys such as {listed(list(expected)[:4])}",
            found=listed(list(map(str, tensors or content))),
            hint="--state-key PATH says where inside the file the weights are",
        )
    classifiers = classifier_names(architecture)
    kept = {
        name: value
        for name, value in state.items()
        if name not in classifiers
        and not any(fnmatchcase(name, pattern) for pattern in (*ignore, f"*{COUNTERS}"))
    }
    whole = {name for name, value in expected.items() if not value.is_floating_point()}  # indices
    check_dense({name: kept[name] for name in kept if name not in whole}, subject=subject)
    return Recognized(
        format=BY_TIMM,
        where=where or "the file",
        state=kept,
        renamed=tuple(
            (names.get(name, "timm's conversion"), name) for name in kept if names.get(name) != name
        ),
        ignored=tuple(names.get(name, name) for name in state if name not in kept),
        derived={},
        others=tuple(at for at in found if at != where and found[at].keys() >= expected.keys()),
    )


def _by_layout(
    content: Mapping[str, Any],
    expected: State,
    subject: str,
    state_key: str | None,
    ignore: tuple[str, ...],
) -> Recognized | None:
    """Return the weights by one of our layouts, if they have exactly the network's names so."""
    try:
        found = recognize(
            content, TIMM_FORMATS, subject=subject, state_key=state_key, ignore=ignore
        )
    except CheckpointError:
        return None
    return found if found.state.keys() == expected.keys() else None


def _our_names(tensors: Mapping[str, Tensor], expected: State) -> dict[str, str]:
    """Map timm's names to those in the file, without the prefixes of wrapping modules if any."""
    as_they_are = {name: name for name in tensors}
    stripped = {re.sub(f"^{WRAPPERS}", "", unwrapped(name)): name for name in tensors}
    if len(stripped) < len(tensors):
        return as_they_are
    return max(as_they_are, stripped, key=lambda names: len(names.keys() & expected.keys()))


def _converted(network: TimmNetwork, state: State) -> State:
    """Let timm convert keys of other libraries; keys that it can't convert stay unchanged."""
    convert = conversion_of(network.architecture)
    if convert is None:
        return state
    try:
        converted: State = convert(dict(state), network.network)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        return state
    return converted

"""Networks by the names of installed code: `package.module:function`, and those of plug-ins.

Only words that the user typed come here. What stands in a weight file, a manifest or a folder of
the Hub never names code.
"""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from vitbench.errors import BadPlugin, CheckpointError, VitbenchError
from vitbench.models.backbone import Backbone
from vitbench.models.locate import OPENERS, read_random
from vitbench.models.manifest import manifest_names
from vitbench.models.wrapped import wrap
from vitbench.registry import PluginEntry, Registry

Builder = Callable[[], nn.Module]  # a function without arguments, or a network's class
CODE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def _check(found: object, entry: PluginEntry) -> Builder:
    if not callable(found):
        raise BadPlugin(
            f"backbone {entry.name!r} of {entry.distribution!r} ({entry.target}) can't be called.",
            expected="a function without arguments, or a class, that makes a network",
            found=type(found).__name__,
        )
    return found


backbones: Registry[Builder] = Registry("backbone", "vitbench.backbones", _check)


def network_named(spec: str, *, tokens: str | None = None) -> tuple[Backbone, str] | None:
    """Return the network and the method that a name stands for, or None if it names no code.

    Args:
        spec: The name of a plug-in's backbone, `random:NAME[?seed=N]` of one, or
            `package.module:function`. A file of that name and a manifest come first.
        tokens: Which features `wrap` takes, where the network is no `Backbone` already.

    Raises:
        CheckpointError: The code can't be imported or run, or it makes no network that `wrap` can
            read.
        BadPlugin: A plug-in can't be imported.
    """
    if Path(spec).expanduser().exists() or spec in manifest_names():
        return None
    kind, _, rest = spec.partition(":")
    if kind == "random" and rest.partition("?")[0] in backbones.names():
        name, seed = read_random(rest)
        network = _made(backbones.get(name), spec, f"random-{name}-seed{seed}", tokens)
        network.reset_weights(seed)
        return network, "random"
    if spec in backbones.names():
        return _made(backbones.get(spec), spec, spec, tokens), ""
    found = CODE.fullmatch(spec)
    if found is None or kind in OPENERS:
        return None
    return _made(_imported(*found.groups()), spec, found[2], tokens), ""


def _imported(module: str, attribute: str) -> Builder:
    try:
        found: Any = import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except VitbenchError:
        raise
    except Exception as error:  # of code that is not ours
        raise CheckpointError(
            f"{module}:{attribute} can't be imported.",
            expected="an installed module with a function that makes a network",
            found=f"{type(error).__name__}: {error}",
            hint=f"python -c 'from {module} import {attribute.partition('.')[0]}'; for a module in"
            " this folder, put PYTHONPATH=. before the command",
        ) from error
    if not callable(found):
        raise CheckpointError(
            f"{module}:{attribute} can't be called.",
            expected="a function without arguments, or a class, that makes a network",
            found=type(found).__name__,
        )
    builder: Builder = found
    return builder


def _made(build: Builder, spec: str, name: str, tokens: str | None) -> Backbone:
    try:
        network: Any = build()
    except VitbenchError:
        raise
    except Exception as error:  # of code that is not ours
        raise CheckpointError(
            f"{spec}: the network can't be made.",
            expected="a function that needs no arguments",
            found=f"{type(error).__name__}: {error}",
        ) from error
    if not isinstance(network, nn.Module):
        raise CheckpointError(
            f"{spec} makes no network.",
            expected="a torch.nn.Module, or a vitbench.api.Backbone",
            found=type(network).__name__,
        )
    return wrap(network, name=name, tokens=tokens)

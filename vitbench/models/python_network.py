"""A network that only its own Python code can build, and its code in the identity."""

import hashlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from torch import nn

ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of objects in a printed network; another in every run


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonArchitecture:
    """The known facts, except the weights, of a network that its own code builds."""

    name: str
    code: str  # module and qualified name of the network's class
    version: str  # of the class's package; "" where it has none
    source: str  # sha256 of the source of all classes whose package has no version; "" for none
    tokens: str  # which of its features are taken, where that was told
    structure: str  # sha256 of the printed network: its layers and their arguments
    heads: int = 0  # not known
    norm_eps: float = 0.0  # not known
    class_attention: int = 0  # SelfPatch's aggregation blocks on top: none

    def describe(self) -> str:
        """Describe the network in words."""
        return f"{self.name}, built by {self.code}" + (f" {self.version}" if self.version else "")


def architecture_of_code(network: nn.Module, name: str, tokens: Any = None) -> PythonArchitecture:
    """Return what stands for the code of a network.

    Args:
        network: The network as its own code built it.
        name: What people call it; moves no feature.
        tokens: Which of its features are taken; see `wrap`.
    """
    kinds = {type(module) for module in network.modules()}
    unversioned = sorted(_source(kind) for kind in kinds if not version_of(kind.__module__))
    return PythonArchitecture(
        name=name,
        code=f"{type(network).__module__}.{type(network).__qualname__}",
        version=version_of(type(network).__module__),
        source=_sha256("\n".join(unversioned)) if unversioned else "",
        tokens="" if tokens is None else _source(tokens) if callable(tokens) else repr(tokens),
        structure=_sha256(ADDRESS.sub("", repr(network))),
    )


def version_of(module: str) -> str:
    """Return the version of the package that a module belongs to; "" where it has none."""
    package = module.partition(".")[0]
    told = getattr(sys.modules.get(package), "__version__", "")
    if told:
        return str(told)
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def _source(kind: Callable[..., Any]) -> str:
    """Return the source of a class or function, or its name where there is none to read."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return f"{kind.__module__}.{getattr(kind, '__qualname__', type(kind).__qualname__)}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

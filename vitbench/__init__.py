"""vitbench: how good are this Vision Transformer's features, really?

>>> import vitbench
>>> found = vitbench.evaluate("knn", "random:vit_mini_patch8_64", data="synthetic", limit=40)
>>> found.record.primary().label
'top-1 (k=20)'
"""

from typing import TYPE_CHECKING

from vitbench.lazy import importer

if TYPE_CHECKING:
    from vitbench.front_door import evaluate as evaluate
    from vitbench.front_door import load as load
    from vitbench.front_door import report as report
    from vitbench.front_door import score as score
    from vitbench.front_door import train as train
    from vitbench.models.wrapped import wrap as wrap

__version__ = "0.1.0"

_HOMES = {
    "vitbench.front_door": ("evaluate", "load", "report", "score", "train"),
    "vitbench.models.wrapped": ("wrap",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])
__getattr__ = importer(__name__, _HOME)

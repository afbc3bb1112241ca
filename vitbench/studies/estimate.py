"""How long the rest of a study takes, by what is finished of it and by the work of each network."""

from collections.abc import Mapping
from statistics import median

from vitbench.data.multicrop import GLOBAL_CROPS
from vitbench.models.constants import VIT_SIZES
from vitbench.studies.cell_state import State, Work
from vitbench.studies.matrix import Cell
from vitbench.studies.row_facts import VIT
from vitbench.studies.training_row import Training

STUDENT = 3  # passes of a step: forward, and backward as twice of it


def hours_left(states: Mapping[Work, State]) -> tuple[float, list[str]]:
    """Estimate the hours of all that is left, on one device.

    A cell takes as long as finished ones of its column, a training as long as finished ones of
    the study, each in proportion to the work of the networks.

    Returns:
        The hours of what can be estimated, and the names of what can't.
    """
    rates: dict[str, list[float]] = {}
    for work, state in states.items():
        if state.kind == "done" and state.seconds:
            rates.setdefault(_kind(work), []).append(state.seconds / _work(work))
    left = [work for work, state in states.items() if state.kind != "done"]
    seconds = sum(
        median(rates[_kind(work)]) * _work(work) * _open(work)
        for work in left
        if _kind(work) in rates
    )
    return seconds / 3600, [work.name for work in left if _kind(work) not in rates]


def _kind(work: Work) -> str:
    if isinstance(work, Training):
        return f"training on {work.data}"
    return f"{work.column.name} {work.column.protocol.name}"


def _open(work: Work) -> float:
    """Return the share that is left of a training; 1 of a cell."""
    done, planned = work.progress if isinstance(work, Training) else (0, 0)
    return 1 - done / planned if planned else 1.0


def _work(work: Work) -> float:
    """Return the work of a cell or a training, in numbers that can be compared within its kind."""
    if isinstance(work, Cell):
        training = work.row.training
        arch = training.made[0].arch if training else work.row.checkpoint
        return flops(arch) or 1.0
    recipe, _ = work.made
    crops = recipe.crops
    views = GLOBAL_CROPS * (flops(recipe.arch, crops.global_size) or 1.0)
    small = crops.local_crops * (flops(recipe.arch, crops.local_size) or 0.0)
    image = STUDENT * (views + small) + views  # the teacher sees the global crops
    length = work.steps * recipe.batch_size if work.steps else recipe.epochs
    return image * length


def flops(arch: str, pixels: int | None = None) -> float | None:
    """Return the floating-point operations of one forward pass of a plain ViT, else None.

    Args:
        arch: Text that holds its name, such as `vit_small_patch16_224`.
        pixels: Side of the image; left out: the native one.
    """
    found = VIT.search(arch)
    if found is None or found[1] not in VIT_SIZES:
        return None
    width, depth, _ = VIT_SIZES[found[1]]
    tokens = ((pixels or int(found[3])) // int(found[2])) ** 2 + 1
    return 2.0 * depth * tokens * (12 * width**2 + 2 * tokens * width)

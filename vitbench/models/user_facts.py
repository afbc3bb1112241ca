"""Facts that a user tells of a checkpoint, and which of them count."""

from dataclasses import dataclass

from vitbench.errors import SettingError
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, Pooling, PositionRule, Triple
from vitbench.models.locate import Source

DEFAULT = "ImageNet default"  # who says a normalization that nobody said


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFacts:
    """Facts told of one checkpoint: they win over what its file or manifest says."""

    arch: str | None = None
    mean: Triple | None = None
    std: Triple | None = None
    position_rule: PositionRule | None = None
    pooling: Pooling | None = None
    state_key: str | None = None
    prefix: str = ""
    ignore: tuple[str, ...] = ()
    heads: int | None = None
    native_px: int | None = None
    tokens: str | None = None

    def of_files(self) -> dict[str, object]:
        """Return the facts that only weight files can be told, None where the user tells none."""
        return {
            "arch": self.arch,
            "position_rule": self.position_rule,
            "pooling": self.pooling,
            "state_key": self.state_key,
            "prefix": self.prefix or None,
            "ignore": self.ignore or None,
            "heads": self.heads,
            "native_px": self.native_px,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultFacts:
    """Facts for whatever checkpoints do not know their own; None where nothing is told."""

    arch: str | None = None
    mean: Triple | None = None
    std: Triple | None = None


@dataclass(frozen=True, slots=True)
class InputNormalization:
    """Mean and standard deviation of the input, and who says them."""

    mean: Triple
    std: Triple
    origin: str  # flag, manifest, file, network or the default; two of them where they differ
    unused: tuple[str, ...]  # lines on default facts that were not applied


def settle_normalization(
    user: UserFacts,
    known: tuple[Triple | None, Triple | None],
    who: str,
    defaults: DefaultFacts,
) -> InputNormalization:
    """Choose the normalization of the input.

    Args:
        user: Facts that win over all else.
        known: Mean and standard deviation that the checkpoint says, None where it says none.
        who: Which part of the checkpoint says them.
        defaults: Facts that count where the checkpoint says none.
    """
    values, origins, unused = [], [], []
    rows = (
        ("mean", user.mean, known[0], defaults.mean, IMAGENET_MEAN),
        ("std", user.std, known[1], defaults.std, IMAGENET_STD),
    )
    for name, told, own, default, usual in rows:
        choices = ((told, "flag"), (own, who), (default, "flag"), (usual, DEFAULT))
        value, origin = next((value, by) for value, by in choices if value is not None)
        values.append(value)
        origins.append(origin)
        if default is not None and told is None and own is not None and own != default:
            unused.append(not_applied(name, f"the {who} says {name} {own}"))
    origin = origins[0] if origins[0] == origins[1] else " / ".join(origins)
    return InputNormalization(values[0], values[1], origin, tuple(unused))


def not_applied(name: str, why: str) -> str:
    """Say that a default fact was not applied, and how it would be."""
    return f"--{name} is not applied: {why}; CHECKPOINT@{name}=… overrules it"


def choose_arch(
    source: Source, told: str | None, default: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """Return the architecture's name that the user says, and a line if the default is not applied.

    Args:
        source: Where the weights come from.
        told: The name that the user tells of this checkpoint; it always counts.
        default: The name for checkpoints that do not know their own.
    """
    manifest, facts = source.manifest, source.facts
    known = manifest.arch if manifest else facts.arch
    if known is None and facts.architecture is not None:
        known = facts.architecture.name
    if told or not default or not known:
        return told or default, ()
    unused = () if default == known else (not_applied("arch", f"{source.name} is a {known}"),)
    return None, unused


def choose_normalization(
    source: Source, user: UserFacts, defaults: DefaultFacts
) -> InputNormalization:
    """Choose the normalization of the input of weights; a manifest counts before its file."""
    if source.manifest is not None:
        known = (source.manifest.mean, source.manifest.std)
        return settle_normalization(user, known, "manifest", defaults)
    return settle_normalization(user, (source.facts.mean, source.facts.std), "file", defaults)


def check_normalization(mean: Triple | None, std: Triple | None) -> None:
    """Check that mean and standard deviation are possible for RGB in [0, 1].

    Raises:
        SettingError: A value is out of its range.
    """
    problems = []
    if mean is not None and not all(0 <= value <= 1 for value in mean):
        problems.append(f"mean {mean} is out of range: each from 0 to 1, of RGB in 0 to 1")
    if std is not None and not all(0 < value <= 1 for value in std):
        problems.append(f"std {std} is out of range: each above 0 and at most 1, of RGB in 0 to 1")
    if problems:
        raise SettingError(problems, hint="values of RGB in 0 to 255, divided by 255")

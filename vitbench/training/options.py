"""All settings of a run that are not the recipe's: flags, known before torch is imported."""

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from vitbench.data.loading import LoaderConfig
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.settings import setting

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp64", "fp32", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Data that a run learns from and is scored on."""

    data: str = setting(
        SYNTHETIC,
        help="training images: path of a folder, name of a folder under $VITBENCH_DATA, shards (a"
        " URL, x-{0..9}.tar), or synthetic",
        identity=False,  # the fingerprint of the images stands for it
    )
    split_list: str = setting(
        "",
        help="text file that names the images to learn from, or their classes, one a line;"
        " imagenet-10: the classes of ImageNet-10",
        identity=False,  # likewise
    )
    probe_data: str = setting(
        "",
        help="data set with classes for the 20-NN score during training; left out: the training"
        " data, if it has classes",
        identity=False,
    )
    probe_images: int = setting(
        2000,
        help="images of each split in the 20-NN score during training",
        minimum=1,
        identity=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeConfig:
    """How a step is computed; changes the digits of a training, not its method."""

    precision: Precision = setting(
        "auto",
        help="number format of forward and backward passes; auto: bf16 on a GPU, fp32 on a CPU",
        choices=("auto", "fp64", "fp32", "bf16"),
    )
    accumulate: int = setting(1, help="parts that a batch is split into to save memory", minimum=1)
    compile: Literal["auto", "on", "off"] = setting(
        "auto",
        help="compile backbones and heads with torch.compile; auto: on a GPU, without --shard",
        choices=("auto", "on", "off"),
    )
    activation_checkpointing: bool = setting(
        False,
        help="compute the blocks' activations again in the backward pass: less memory, more time",
        identity=False,  # the same digits: the random state is put back for the second pass
    )
    shard: bool = setting(
        False,
        help="cut weights, gradients and the optimizer's state among the processes, for networks"
        " that do not fit on one device",
        identity=False,  # the digits are those of another number of processes
    )
    deterministic: bool = setting(
        False,
        help="deterministic kernels where PyTorch has them; it warns of those that it lacks",
    )
    on_nonfinite: tuple[Literal["skip"], int] = setting(
        ("skip", 0),
        help="`skip N`: leave out up to N steps whose loss is not finite, then stop; N above 0"
        " costs time in each step",
        minimum=0,
        identity=False,  # where it matters, a run with another number would have stopped
    )

    def on(self, device: "torch.device") -> "ComputeConfig":
        """Return the settings with `auto` replaced by what it means on a device."""
        on_gpu = device.type == "cuda"
        precision, compiled = self.precision, self.compile
        if precision == "auto":
            precision = "bf16" if on_gpu else "fp32"
        if compiled == "auto":
            compiled = "on" if on_gpu and not self.shard else "off"
        return replace(self, precision=precision, compile=compiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """When snapshots are written, and which of them are kept."""

    save_minutes: float = setting(
        10.0,
        help="minutes between two snapshots; one is written at the end of each epoch too",
        minimum=0,
        identity=False,
    )
    keep_last: int = setting(
        2, help="number of newest snapshots to keep", minimum=1, identity=False
    )
    keep_every: int = setting(
        0, help="also keep the snapshot of every N-th epoch; 0: of none", minimum=0, identity=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """How often a run logs its metrics and its online 20-NN."""

    log_every: int = setting(
        20, help="steps between two lines of the log", minimum=1, identity=False
    )
    probe_every: int = setting(
        10,
        help="epochs between two 20-NN scores; 0: no scores",
        minimum=0,
        identity=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All settings of a run that are not the recipe's."""

    inputs: Inputs = field(default_factory=Inputs)
    loading: LoaderConfig = field(default_factory=LoaderConfig)
    computing: ComputeConfig = field(default_factory=ComputeConfig)
    saving: CheckpointConfig = field(default_factory=CheckpointConfig)
    watching: LogConfig = field(default_factory=LogConfig)

    @property
    def parts(self) -> tuple[Any, ...]:
        """The settings of each group."""
        return tuple(getattr(self, item.name) for item in fields(self))

"""Any network of timm, by its name and by the facts that weights do not tell."""

from dataclasses import dataclass

Option = str | int | float | bool | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmArchitecture:
    """Everything that timm needs to build one of its networks, but the weights."""

    timm_name: str  # the tag of its weights may follow a dot
    image_size: tuple[int, int]  # native (H, W) in pixels
    heads: int = 0  # of the last block's attention; 0 where it has none
    norm_eps: float = 0.0  # of the last norm; 0 where it has none
    every_norm_eps: float = 0.0  # of all its norms; 0: as timm's builder has it
    options: tuple[tuple[str, Option], ...] = ()  # arguments of timm's builder, sorted by name
    class_attention: int = 0  # SelfPatch's aggregation blocks on top

    @property
    def name(self) -> str:
        """The name to show."""
        return self.timm_name

    def describe(self) -> str:
        """Describe the architecture in words."""
        told = ", ".join(f"{name} {value}" for name, value in self.options)
        return (
            f"{self.name} as timm builds it, native {self.image_size[0]} x {self.image_size[1]} px"
            + (f", with {told}" if told else "")
        )

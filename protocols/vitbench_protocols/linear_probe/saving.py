"""Keep unfinished training, so that a killed run goes on: one file an epoch and process."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vitbench.kit import atomic, distributed

KEPT = 2  # one may be missing in another process that was killed a moment earlier


@dataclass(frozen=True, slots=True)
class Saved:
    """The files of one stage of training in this process."""

    folder: Path
    stage: str

    def save(self, epoch: int, state: list[Tensor]) -> None:
        """Write what training changes after an epoch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic(self._path(epoch)) as temporary:
            torch.save([tensor.cpu() for tensor in state], temporary)
        for old in sorted(self._epochs())[:-KEPT]:
            self._path(old).unlink()

    def restore(self, state: list[Tensor]) -> int:
        """Fill the tensors with the last epoch that every process has; return how many are done."""
        common = set.intersection(*distributed.gather(self._epochs()))
        if not common:
            return 0
        epoch = max(common)
        found = torch.load(self._path(epoch), map_location="cpu", weights_only=True)
        for tensor, value in zip(state, found, strict=True):
            tensor.copy_(value)
        return epoch + 1

    def _path(self, epoch: int) -> Path:
        return self.folder / f"{self._stem()}{epoch}.pt"

    def _epochs(self) -> set[int]:
        start = len(self._stem())
        return {int(path.stem[start:]) for path in self.folder.glob(f"{self._stem()}*.pt")}

    def _stem(self) -> str:
        return f"{self.stage}-{distributed.rank()}-of-{distributed.world_size()}-"

"""Classes of a data set: the numbers in its label files, counted from 0 for networks and scores."""

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Dataset, errors

NONE = -1  # no class: not labelled in the truth, not predicted in a prediction
SATURATIONS, VALUES = (0.65, 0.95, 0.45), (0.95, 0.7, 0.85, 0.55)

Indices = NDArray[np.int16]  # class of each pixel, or NONE


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes, in the order of their labels."""

    labels: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset[Any]) -> "Classes":
        """Return the classes of a data set of index maps.

        Raises:
            DatasetError: No file says them.
        """
        named: dict[int, str] = dataset.categories  # type: ignore[attr-defined]
        if not named:
            raise errors.DatasetError(
                f"the classes of {dataset.info.name!r} are not known.",
                expected="a file objectInfo150.csv, classes.yaml or classes.txt (a name a line)",
                found="none of them beside images/ and annotations/",
                hint="write classes.txt: the name of label 1 on line 1, and so on; 0 is no label",
            )
        ranked = sorted(named.items())
        return cls(tuple(label for label, _ in ranked), tuple(name for _, name in ranked))

    def __len__(self) -> int:
        return len(self.labels)

    def indices(self, labels: NDArray[np.int32]) -> Indices:
        """Turn labels, all of them classes or 0, into class indices; 0 becomes NONE."""
        table = np.full(self.labels[-1] + 1, NONE, np.int16)
        table[list(self.labels)] = np.arange(len(self), dtype=np.int16)
        found: Indices = table[labels]
        return found

    def to_labels(self, indices: Indices) -> NDArray[np.unsignedinteger[Any]]:
        """Turn class indices into labels as files hold them; NONE becomes 0."""
        wide = np.uint8 if self.labels[-1] < 256 else np.uint16
        table: NDArray[np.unsignedinteger[Any]] = np.array([*self.labels, 0], wide)
        return table[indices]  # NONE, -1, is the last entry

    def colors(self) -> NDArray[np.uint8]:
        """Return a color for each class, and black for NONE as the last, (C + 1, 3)."""
        golden = (5**0.5 - 1) / 2  # steps of the hue that never come close to an earlier one
        rows = [
            colorsys.hsv_to_rgb(index * golden % 1.0, SATURATIONS[index % 3], VALUES[index % 4])
            for index in range(len(self))
        ]
        return (255 * np.array([*rows, (0.0, 0.0, 0.0)])).astype(np.uint8)

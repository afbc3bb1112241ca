"""Classes of a data set: the numbers in its label files, counted from 0 for networks and scores."""

import colorsys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Context, IndexMapDataset, errors
from vitbench.kit import labels_in

NONE = -1  # no class: not labeled in the truth, not predicted in a prediction
HIGHEST = 65535  # label of a 16-bit file
FIRST_LABEL = "label of the first class in the label files; left out: as in the list of classes"
VOID = "labels of pixels that are not scored; left out: 0 and 255, where they are no class"
SATURATIONS, VALUES = (0.65, 0.95, 0.45), (0.95, 0.7, 0.85, 0.55)

Indices = NDArray[np.int16]  # class of each pixel, or NONE


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes, in the order of their labels."""

    labels: tuple[int, ...]
    names: tuple[str, ...]
    void: tuple[int, ...] = (0,)  # labels that are no class: what they mark does not count
    assumed: bool = False  # nobody said that 0 and 255 are no classes

    @classmethod
    def of(
        cls, dataset: IndexMapDataset, first_label: int | None = None, void: tuple[int, ...] = ()
    ) -> "Classes":
        """Return the classes of a data set of index maps.

        Args:
            dataset: Its `categories` and `void` are the class file's.
            first_label: Label of the first class in the label files; None: as the class file has.
            void: Labels that are no class; none: 0 and 255 where they are no class, and what the
                class file calls unlabeled or void.

        Raises:
            DatasetError: No file says them.
            SettingError: No class is left.
        """
        named = dataset.categories
        if not named:
            raise errors.DatasetError(
                f"the classes of {dataset.info.name!r} are not known.",
                expected="a file objectInfo150.csv, classes.yaml or classes.txt (a name a line)",
                found="none of them beside images/ and annotations/",
                hint="write classes.txt: `LABEL: NAME` a line, such as `0: background`",
            )
        shift = 0 if first_label is None else first_label - min(named)
        kept = {label + shift: name for label, name in named.items() if label + shift not in void}
        if not kept:
            raise errors.SettingError([f"--void {_words(void)} leaves no class"])
        none = void or tuple(sorted({0, 255, *dataset.void} - {*kept}))
        ranked = sorted(kept.items())
        return cls(
            tuple(label for label, _ in ranked),
            tuple(name for _, name in ranked),
            none,
            assumed=not void and {0, 255} <= {*none} - {*dataset.void},
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def none(self) -> int:
        """The label that files hold where there is no class."""
        return next(label for label in (*self.void, 0, 255, HIGHEST) if label not in self.labels)

    def indices(self, labels: NDArray[np.int32]) -> Indices:
        """Turn labels, 0 to HIGHEST, into class indices; what is no class becomes NONE."""
        table = np.full(HIGHEST + 1, NONE, np.int16)
        table[list(self.labels)] = np.arange(len(self), dtype=np.int16)
        found: Indices = table[labels]
        return found

    def truth(self, labels: NDArray[np.int32], image: str) -> Indices:
        """Turn the labels of a data set's file into class indices.

        Args:
            labels: As the file has them.
            image: Whose they are, for messages.

        Raises:
            DatasetError: A label is neither a class nor void; or 0 and 255 both occur and nobody
                said whether 0 is a class.
        """
        unknown = sorted({*labels_in(labels)} - {*self.labels, *self.void})
        if unknown:
            raise errors.DatasetError(
                f"the label file of {image!r} has labels that are no class.",
                expected=f"the labels of the {len(self)} classes, {_words(self.void)} for none",
                found=errors.listed([str(label) for label in unknown]),
                hint=self._from_zero(labels)
                or f"--void {_words((*self.void, *unknown))} if they are to be left out",
            )
        if self.assumed and {0, 255} <= {*labels_in(labels)}:
            other = self._from_zero(labels)
            raise errors.DatasetError(
                f"the label file of {image!r} has both 0 and 255: is 0 a class?",
                expected=f"one label for what does not count, beside {self.labels[0]} to "
                f"{self.labels[-1]} of the class list",
                found=f"labels {errors.listed([str(label) for label in labels_in(labels)])}",
                hint=f"{other} if 0 is the first class; --void 0 255 if neither is one"
                if other
                else "--void 0 255 if neither is a class; else name 0 in the class list",
            )
        return self.indices(labels)

    def _from_zero(self, labels: NDArray[np.int32]) -> str:
        """Return the flags that read a map whose classes begin at 0, if they can read this one."""
        shifted = {label - self.labels[0] for label in self.labels}
        fits = self.labels[0] > 0 and {*labels_in(labels)} <= {*shifted, 255}
        return "--first-label 0 --void 255" if fits and 255 not in shifted else ""

    def to_labels(self, indices: Indices) -> NDArray[np.unsignedinteger[Any]]:
        """Turn class indices into labels as files hold them; NONE becomes `none`."""
        wide = np.uint8 if max(self.labels[-1], self.none) < 256 else np.uint16
        table: NDArray[np.unsignedinteger[Any]] = np.array([*self.labels, self.none], wide)
        return table[indices]  # NONE, -1, is the last entry

    def colors(self) -> NDArray[np.uint8]:
        """Return a color for each class, and black for NONE as the last, (C + 1, 3)."""
        golden = (5**0.5 - 1) / 2  # steps of the hue that never come close to an earlier one
        rows = [
            colorsys.hsv_to_rgb(index * golden % 1.0, SATURATIONS[index % 3], VALUES[index % 4])
            for index in range(len(self))
        ]
        return (255 * np.array([*rows, (0.0, 0.0, 0.0)])).astype(np.uint8)


def _words(labels: tuple[int, ...]) -> str:
    return " ".join(map(str, labels))


def open_maps(context: Context, split: str) -> IndexMapDataset:
    """Open a split of images with an index map each."""
    dataset = context.dataset(split)
    assert isinstance(dataset, IndexMapDataset), f"{dataset.info.kind} without index maps"
    return dataset

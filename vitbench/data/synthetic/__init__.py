"""Built-in data: procedurally drawn scenes, equal on every machine, in four official layouts.

One generator paints all of it: ten classes of shape, pattern and hue over textured grounds, turned,
scaled, lit and hidden by one another. Only integers are used, so no machine rounds differently, and
files are written byte for byte alike.
"""

from vitbench.data.synthetic.classification import draw_picture
from vitbench.data.synthetic.semantic import LABEL_NAMES
from vitbench.data.synthetic.shapes import CLASS_NAMES
from vitbench.data.synthetic.store import NAME, VERSION, Progress, synthetic_folder

__all__ = [
    "CLASS_NAMES",
    "LABEL_NAMES",
    "NAME",
    "VERSION",
    "Progress",
    "draw_picture",
    "synthetic_folder",
]

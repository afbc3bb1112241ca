"""The order in which PIL shrinks an image: from version 13 on, heights first where that is less.

Between the two passes values are rounded, so tall images differ: by a level or two in photos, by
20 of 255 in noise. What is exact is what the installed PIL does; that it is an older one is a fact
of every identity that depends on its pixels.
"""

from functools import cache

import numpy as np
from PIL import Image


@cache
def pil_order() -> dict[str, str]:
    """Return the fact that tells an older PIL from today's; nothing where it is today's."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 8), dtype=np.uint8)
    tall, how = Image.fromarray(noise), Image.Resampling.BICUBIC
    small = tall.resize((4, 4), how)
    widths_first = tall.resize((4, 32), how).resize((4, 4), how)
    return {"pil": "before 13, widths first"} if small.tobytes() == widths_first.tobytes() else {}

"""Facts within limits, as the files of strangers may state them."""

from typing import Annotated

from pydantic import Field

_Mean = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Std = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Mean = tuple[_Mean, _Mean, _Mean]  # of RGB in [0, 1], as are the standard deviations
Std = tuple[_Std, _Std, _Std]
Epsilon = Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False)]
Size = Annotated[int, Field(ge=1, le=1 << 16)]  # a width or a number of pixels
Blocks = Annotated[int, Field(ge=1, le=1000)]
Heads = Annotated[int, Field(ge=1, le=1024)]
Tokens = Annotated[int, Field(ge=0, le=1000)]

"""Round to float32 so that nothing becomes infinite."""

import numpy as np
import numpy.typing as npt

from lightning_modules.data.frames import Array

_LARGEST = float(np.finfo(np.float32).max)


def to_float32(values: Array) -> npt.NDArray[np.float32]:
    """Return the values as float32; what is larger than float32 holds becomes its largest.

    >>> to_float32(np.array([1.5, 1e300, -np.inf])).tolist()
    [1.5, 3.4028234663852886e+38, -3.4028234663852886e+38]
    """
    if values.dtype == np.float64:
        values = np.clip(values, -_LARGEST, _LARGEST)
    return values.astype(np.float32)

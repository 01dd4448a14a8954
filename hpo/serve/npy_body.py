"""An array in NumPy's own format: a short head, then the numbers as they are in memory."""

import io
from math import prod

import numpy as np

from hpo.serve.refusal import Refused
from lightning_modules.data.frames import Array

_LONGEST_HEAD = 4096


def array_in(body: bytes, *, most_rows: int) -> Array:
    """Return the array of a ``.npy`` file; numbers are not copied.

    Args:
        body: the file.
        most_rows: along the first axis.

    Raises:
        Refused: if it is no such file, holds no numbers, or another number of them than it says.
    """
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(stream, max_header_size=_LONGEST_HEAD)
    except (ValueError, KeyError, SyntaxError, TypeError):
        hint = "numpy.save writes them"
        raise Refused(400, "values", where="body", what="is no .npy file", hint=hint) from None
    if dtype.kind not in "biuf" or dtype.hasobject:
        what, hint = f"holds {dtype}", "numbers are taken"
        raise Refused(422, "values", where="body", what=what, hint=hint)
    if not shape or min(shape) < 1:
        hint = "at least one row is needed"
        raise Refused(422, "rows", where="body", what="has no rows", hint=hint)
    if shape[0] > most_rows:
        what, hint = f"holds {shape[0]:,} rows", f"at most {most_rows:,} in one request"
        raise Refused(413, "rows", where="body", what=what, hint=hint)
    start, n_values = stream.tell(), prod(shape)
    if n_values * dtype.itemsize != len(body) - start:
        what = f"says {n_values:,} values of {dtype}, and has {len(body) - start:,} bytes"
        raise Refused(422, "values", where="body", what=what, hint="send the whole file")
    values = np.frombuffer(body, dtype=dtype, offset=start)
    return values.reshape(shape, order="F" if fortran else "C")

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lightning_modules.data.fingerprint import (
    fingerprint_data,
    fingerprint_json,
    fingerprint_split,
)
from lightning_modules.data.raw import RawData
from lightning_modules.data.split import make_split

TABLE = RawData(
    x=pd.DataFrame({"n": [1.0, np.nan], "c": pd.Series(["x", None], dtype=object)}),
    y=np.array(["a", "b"], dtype=object),
    where="t",
)
IMAGES = RawData(x=np.zeros((2, 1, 2, 2), np.uint8), y=np.array([0.0, 1.0]), where="i")


def with_x(**columns: list[object]) -> RawData:
    return replace(TABLE, x=pd.DataFrame(columns))


def test_equal_data_has_an_equal_fingerprint() -> None:
    assert isinstance(TABLE.x, pd.DataFrame)
    print_ = fingerprint_data(TABLE)
    assert fingerprint_data(replace(TABLE, where="elsewhere")) == print_
    assert fingerprint_data(replace(TABLE, x=TABLE.x.copy(), y=pd.Series(TABLE.y))) == print_
    assert fingerprint_data(with_x(n=[1], c=["x"])) == fingerprint_data(with_x(n=[1.0], c=["x"]))
    assert fingerprint_data(with_x(n=[0.0])) == fingerprint_data(with_x(n=[-0.0]))
    images = np.asfortranarray(np.asarray(IMAGES.x))
    assert fingerprint_data(replace(IMAGES, x=images)) == fingerprint_data(IMAGES)


def test_every_difference_of_content_gives_another_fingerprint() -> None:
    x, y = np.asarray(IMAGES.x), IMAGES.y
    different = [
        TABLE,
        IMAGES,
        with_x(n=[1.0, 2.0], c=["x", None]),
        with_x(m=[1.0, np.nan], c=["x", None]),
        with_x(n=[1.0, np.nan], c=["x", "None"]),
        with_x(n=["1", "nan"], c=["x", None]),
        with_x(c=["x", None], n=[1.0, np.nan]),
        with_x(n=["ab", "c"]),
        with_x(n=["a", "bc"]),
        replace(TABLE, y=np.array(["b", "a"], dtype=object)),
        replace(IMAGES, x=x + 1),
        replace(IMAGES, x=x.astype(np.float32)),
        replace(IMAGES, x=x.reshape(2, 1, 1, 4)),
        replace(IMAGES, x=x.astype(object)),
        replace(IMAGES, y=np.array([0.0, 2.0])),
        replace(IMAGES, official_test=(x, y)),
    ]
    assert len({fingerprint_data(raw) for raw in different}) == len(different)


def test_another_process_gives_the_same_fingerprint() -> None:
    program = (
        "import numpy as np, pandas as pd\n"
        "from lightning_modules.data.fingerprint import fingerprint_data\n"
        "from lightning_modules.data.raw import RawData\n"
        "x = pd.DataFrame({'n': [1.0, np.nan], 'c': pd.Series(['x', None], dtype=object)})\n"
        "y = np.array(['a', 'b'], dtype=object)\n"
        "print(fingerprint_data(RawData(x=x, y=y, where='t')))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == fingerprint_data(TABLE)


def test_splits_differ_by_their_rows() -> None:
    splits = [
        make_split(np.zeros(20), validation=0.2, test=0.2, seed=seed, stratify=False)
        for seed in (0, 0, 1)
    ]
    first, same, other = map(fingerprint_split, splits)
    assert first == same != other


def test_json_differs_by_content_and_not_by_the_order_of_keys() -> None:
    assert fingerprint_json({"a": 1, "b": [0.5, None]}) == fingerprint_json(
        {"b": [0.5, None], "a": 1}
    )
    assert fingerprint_json({"a": 1}) != fingerprint_json({"a": "1"})


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        fingerprint_json([float("nan")])

"""The named sets that scikit-learn brings along."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from lightning_modules.data.config import SourceConfig
from lightning_modules.data.raw import RawData

_NAMED: dict[str, Callable[[], Any]] = {
    "breast_cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": lambda: datasets.load_diabetes(scaled=False),
}


def load_named(config: SourceConfig) -> RawData:
    """Return one of scikit-learn's sets; digits as images ``(1797, 1, 8, 8)`` float32."""
    name = str(config.model_dump()["source"])
    if name == "digits":
        digits = datasets.load_digits()
        images = np.asarray(digits.images, dtype=np.float32)[:, None]
        return RawData(x=images, y=digits.target.astype(str).astype(object), where=name)
    found = _NAMED[name]()
    x = pd.DataFrame(found.data, columns=[str(feature) for feature in found.feature_names])
    if name == "diabetes":
        return RawData(x=x, y=np.asarray(found.target, dtype=np.float64), where=name)
    labels = np.asarray(found.target_names).astype(str).astype(object)
    return RawData(x=x, y=labels[found.target], where=name)

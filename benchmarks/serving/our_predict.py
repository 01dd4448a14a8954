"""Predict a CSV table with an ONNX file as `hpo predict` does, and say how long it took.

python -m benchmarks.serving.our_predict MODEL TABLE WAY OUTPUT
"""

import json
import sys
import time
from pathlib import Path

import onnxruntime  # noqa: F401  (the plain script's clock starts behind its imports too)

import hpo.predict.onnx_file  # noqa: F401
from hpo.predict.stream import Wanted, predicted, write_predictions


def main() -> None:
    model, table, way, output = sys.argv[1:]
    began = time.perf_counter()
    wanted = Wanted(probabilities=way == "probabilities")
    if way == "unwritten":
        tables = predicted(Path(model), Path(table), wanted)
        n_rows = sum(len(next(iter(one.values()))) for one in tables)
    else:
        n_rows = write_predictions(Path(model), Path(table), Path(output), wanted)
    print(json.dumps({"rows": n_rows, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()

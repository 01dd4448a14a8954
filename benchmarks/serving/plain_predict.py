"""Predict a CSV table with an ONNX file as a good user writes it: no hpo, no torch.

python -m benchmarks.serving.plain_predict MODEL TABLE WAY OUTPUT

The whole table is read by pandas' C reader, numbers go to onnxruntime as one array of float64 and
categories as one array of text, in batches of 16,384 rows (as fast as any of 1,024 to 65,536), with
onnxruntime's own number of threads; the labels are taken, and DataFrame.to_csv writes them. No row
is counted, no column or value is looked at: a table that does not fit ends in a traceback, or not.
"""

import json
import sys
import time

import numpy as np
import onnxruntime
import pandas as pd

BATCH = 16_384


def main() -> None:
    model, table, way, output = sys.argv[1:]
    began = time.perf_counter()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    told = json.loads(session.get_modelmeta().custom_metadata_map["hpo.manifest"])
    columns = {one["name"]: one["columns"] for one in told["inputs"]}
    frame = pd.read_csv(table)
    numbers = frame[columns["numbers"]].to_numpy(dtype="float64")
    texts = frame[columns["texts"]].fillna("").astype(object).to_numpy()
    parts = [
        session.run(None, {"numbers": numbers[i : i + BATCH], "texts": texts[i : i + BATCH]})[0]
        for i in range(0, len(frame), BATCH)
    ]
    shares = np.concatenate(parts)
    labels = np.array(told["classes"], dtype=object)[shares.argmax(axis=1)]
    predicted = pd.DataFrame({"prediction": labels})
    if way == "probabilities":
        for index, name in enumerate(told["classes"]):
            predicted[f"p_{name}"] = shares[:, index]
    if way != "unwritten":
        predicted.to_csv(output, index=False)
    print(json.dumps({"rows": len(predicted), "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()

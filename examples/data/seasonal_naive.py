"""Is the forecast any better than last week's numbers again? On the same test rows.

python examples/data/seasonal_naive.py results/visitors
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

SEASON = 7


def main() -> None:
    """Print the error of a study on its test rows, and that of the seasonal-naive forecast."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="the folder of a study, evaluated with --test")
    study = parser.parse_args().study
    config = json.loads((study / "best_config.json").read_text(encoding="utf-8"))["config"]
    tested = json.loads((study / "evaluation" / "test.json").read_text(encoding="utf-8"))
    data, horizon = config["data"], config["task"]["horizon"]
    values = pd.read_csv(data["path"]).sort_values(data["time"])[data["target"]].to_numpy()
    errors = []
    for n_ahead in range(tested["n_rows"]):  # the last window ends with the last value
        known = values[: len(values) - horizon - n_ahead]
        truth = values[len(known) : len(known) + horizon]
        errors.append(np.resize(known[-SEASON:], horizon) - truth)
    naive = np.sqrt(np.mean(np.square(errors)))
    print(f"{study.name}: rmse {tested['value']:.1f}; last week again: {naive:.1f}")


if __name__ == "__main__":
    main()

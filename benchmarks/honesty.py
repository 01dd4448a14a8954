"""Are intervals, verdicts and importances what they say? Simulated studies whose truth is known.

python -m benchmarks.honesty [--write] [--only evaluate]
python -m benchmarks.honesty --measure FOLDER   after hpo evaluate --top 3 --seeds 5 --test

The noise of the simulated studies is that of a real one: ``--measure`` takes it from the runs that
``hpo evaluate`` left, and writes it to results/reference/honesty-noise.json. Everything that is
judged here is computed by the functions that the commands call.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.honesty_compare import compare_part
from benchmarks.honesty_evaluate import evaluate_part
from benchmarks.honesty_importance import importance_part
from benchmarks.honesty_noise import (
    NOISE_FILE,
    REFERENCE,
    Noise,
    Part,
    Row,
    measure,
    read_noise,
)

TABLE = REFERENCE / "honesty.md"


# --- the table ---

PARTS: dict[str, tuple[str, Part]] = {
    "evaluate": ("hpo evaluate --top 3 --seeds N", evaluate_part),
    "compare": ("hpo compare A B", compare_part),
    "importance": ("hpo report, which choices matter", importance_part),
}


def table(noise: Noise, found: dict[str, list[Row]], seconds: float) -> str:
    """Return the reference table."""
    lines = [
        "# Honesty, measured",
        "",
        "`python -m benchmarks.honesty --write`, simulated studies whose truth is known,",
        f"{seconds:.0f} s on one core. The functions judged are those that the commands call.",
        "",
        f"The noise is that of {noise.study} ({noise.metric}, {noise.runs} runs with fresh seeds,",
        "taken by `--measure` from what `hpo evaluate` left): sd over seeds "
        f"{noise.within:.4f}, sd between",
        f"complete trials {noise.between:.4f}, best minus default {noise.gap:.4f}.",
    ]
    for name, rows in found.items():
        lines += [
            "",
            f"## {PARTS[name][0]}",
            "",
            "| what | wanted | found | |",
            "|---|---|---|---|",
        ]
        for row in rows:
            mark = "holds" if row.holds else "**does not hold**"
            lines.append(f"| {row.what} | {row.wanted} | {row.found} | {mark} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, or simulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", type=Path, metavar="STUDY_FOLDER")
    parser.add_argument("--only", choices=list(PARTS), action="append")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.measure is not None:
        noise = measure(given.measure)
        NOISE_FILE.write_text(json.dumps(asdict(noise), indent=1) + "\n", encoding="utf-8")
        print(NOISE_FILE)
        return
    noise, began = read_noise(), time.process_time()
    found = {name: PARTS[name][1](noise) for name in given.only or PARTS}
    text = table(noise, found, time.process_time() - began)
    print(text)
    if given.write:
        TABLE.write_text(text, encoding="utf-8")
    if not all(row.holds for rows in found.values() for row in rows):
        raise SystemExit(4)


if __name__ == "__main__":
    main()

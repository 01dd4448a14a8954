"""Let the best network of a study write.

python examples/text_generation/sample.py results/text-generation --prompt "once a year"
"""

import argparse
import json
from pathlib import Path

from characters import Transformer


def main() -> None:
    """Load the checkpoint that ``best_config.json`` names, and print what it writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="the folder of the study")
    parser.add_argument("--prompt", default="the ", help="in small letters")
    parser.add_argument("--characters", type=int, default=300)
    parser.add_argument("--temperature", type=float, default=0.7, help="lower is more of the same")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    best = json.loads((given.study / "best_config.json").read_text(encoding="utf-8"))
    checkpoint = given.study / best["checkpoint"]["path"]
    network = Transformer.load_from_checkpoint(checkpoint, weights_only=True).eval()
    text = network.write(
        given.prompt, given.characters, temperature=given.temperature, seed=given.seed
    )
    print(text)


if __name__ == "__main__":
    main()

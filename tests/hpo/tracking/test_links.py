import re
from urllib.parse import parse_qs

from hpo.tracking.links import MOST_RUNS, of_runs


def test_a_link_shows_the_best_runs_alone_with_their_seeds() -> None:
    best = list(range(40, 20, -1))
    (pattern,) = parse_qs(of_runs(best)[1:])["runFilter"]
    shown = [n for n in range(50) if re.search(pattern, f"digits/t{n:04d}-mlp-adamw")]
    assert shown == sorted(best[:MOST_RUNS])
    assert re.search(pattern, "t0040-seed3")
    assert not re.search(pattern, "t00400-mlp-adamw")
    assert not set(of_runs(best)) & set(" ()|^")

"""The programs that measure the service, for seconds: what they count is right. No times."""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving.loading import Body, ask, serving
from benchmarks.serving.service import body_of, measured
from benchmarks.serving.soak import soak
from tests.serve import models

pytestmark = [
    pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk: apt-get install wrk"),
    pytest.mark.slow,
]


def test_what_wrk_counts_is_what_the_server_counts(tmp_path: Path) -> None:
    model = models.numbers(tmp_path / "m.onnx")
    rows = np.random.default_rng(0).normal(size=(3, 30))
    with serving(model) as server:
        load = ask(server, body_of(rows, "npy"), seconds=1, connections=2)
        assert load.requests > 10
        assert (load.refused, load.lost) == (0, 0)
        assert 0 <= server.metric("hpo_rows_total") / 3 - load.requests <= 2
        wrong = ask(server, Body(content=b"{", content_type="a/b"), seconds=1, connections=1)
        assert wrong.refused == wrong.requests > 0


def test_one_case_is_measured_to_the_end(tmp_path: Path) -> None:
    model = models.images(tmp_path / "m.onnx")
    rows = np.random.default_rng(0).integers(0, 17, (64, 1, 8, 8))
    found = measured(model, rows, "json", rounds=1, seconds=1)
    assert found.refused == 0
    assert found.bare > found.served > 0


def test_a_few_seconds_of_load_with_reloads_lose_no_request(tmp_path: Path) -> None:
    given = argparse.Namespace(minutes=0.15, reloads=3, workers=2)
    table, held = soak(tmp_path, given)
    assert held, table.markdown()

"""What Prometheus is told: counts of all workers, and drift that a shift raises above the alert."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.predict.onnx_file import OnnxPredictor
from hpo.serve.exposition import Exposition
from hpo.serve.tally import ROWS, SECONDS, Asked, Tally
from hpo.serve.watching import WINDOW, Watching, quantities_in
from hpo.ship.drift import ALERT, LEAST_ROWS, quantities_of
from hpo.ship.feeds import feeds_of
from tests.serve import models
from tests.serve.conftest import Serve, Server

N_REQUESTS = 40


def records(n_rows: int, *, seed: int = 3, older: float = 0.0) -> list[dict[str, Any]]:
    frame = models.people(n_rows, seed)
    frame["age"] += older
    return frame.to_dict("records")


def test_counts_are_those_of_all_workers(serve: Serve, files: Path) -> None:
    server = serve(files / "table.onnx", "--workers", 3)
    body = {"rows": records(2)}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: server.predict(body), range(N_REQUESTS)))
    assert {got.status for got in answers} == {200}
    assert server.predict({"rows": []}).status == 422
    workers = {got.headers["x-request-id"].partition("-")[0] for got in answers}
    assert len(workers) > 1, "one worker answered all"
    for _ in range(3):
        assert server.metric("hpo_requests_total", route="/predict", status="200") == N_REQUESTS
        assert server.metric("hpo_requests_total", route="/predict", status="422") == 1
        assert server.metric("hpo_request_seconds_count", route="/predict") == N_REQUESTS + 1
        assert server.metric("hpo_rows_total") == 2 * N_REQUESTS
        assert server.metric("hpo_errors_total", reason="rows") == 1
        assert server.metric("hpo_ready_workers") == 3
    server.wait_for(lambda: server.metric("hpo_drift_rows") == 2 * N_REQUESTS)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_shifted_column_rises_above_the_alert_and_the_others_do_not(
    serve: Serve, files: Path, workers: int
) -> None:
    server = serve(files / "table.onnx", "--workers", workers)

    def drift() -> dict[str, float]:
        names = ("age", "income", "town")
        return {name: server.metric("hpo_input_drift_psi", quantity=name) for name in names}

    def send(rows: list[dict[str, Any]]) -> None:
        for start in range(0, len(rows), 50):
            assert server.predict({"rows": rows[start : start + 50]}).status == 200

    assert all(math.isnan(value) for value in drift().values())

    def send_all(rows: list[dict[str, Any]]) -> None:
        counted = server.metric("hpo_drift_rows")
        send(rows)
        server.wait_for(lambda: server.metric("hpo_drift_rows") == counted + len(rows))

    send_all(records(LEAST_ROWS))
    assert max(drift().values()) < ALERT
    send_all(records(LEAST_ROWS, seed=4, older=12.0))
    send_all(records(LEAST_ROWS, seed=5, older=12.0))
    found = drift()
    assert found["age"] > ALERT
    assert max(found["income"], found["town"]) < ALERT
    assert server.metric("hpo_prediction_drift_psi", quantity="prediction") > ALERT


def test_the_form_is_the_one_that_is_asked_for(people: Server) -> None:
    plain = people.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    asked = people.get("/metrics", accept="application/openmetrics-text; version=1.0.0")
    assert asked.headers["content-type"].startswith("application/openmetrics-text")
    assert asked.body.endswith(b"# EOF\n")


def test_a_histogram_is_counted_up_to_each_bound() -> None:
    tally = Tally(2)
    for part, seconds in zip(tally.parts, (0.0005, 99.0), strict=True):
        part.asked(Asked(route="/predict", status=200, seconds=seconds))
        part.ran(64, seconds)
    text = Exposition(tally).text("")[1].decode()
    assert 'hpo_request_seconds_bucket{le="0.0005",route="/predict"} 1.0' in text
    assert 'hpo_request_seconds_bucket{le="+Inf",route="/predict"} 2.0' in text
    assert 'hpo_request_seconds_sum{route="/predict"} 99.0005' in text
    assert 'hpo_batch_rows_bucket{le="32.0"} 0.0' in text
    assert 'hpo_batch_rows_bucket{le="64.0"} 2.0' in text
    assert [*SECONDS] == sorted(SECONDS)
    assert [*ROWS] == sorted(ROWS)


def test_a_status_that_nobody_thought_of_is_counted_by_its_class() -> None:
    tally = Tally()
    tally.parts[0].asked(Asked(route="/unknown", status=418, seconds=0.1))
    text = Exposition(tally).text("")[1].decode()
    assert 'hpo_requests_total{route="other",status="400"} 1.0' in text


def test_a_worker_that_begins_again_keeps_its_counts_and_forgets_its_rows() -> None:
    part = Tally().parts[0]
    part.serves("ab" * 32)
    part.ran(3, 0.1)
    part["watched_rows"][0] = 7
    part.begin()
    assert part.sha256 == "ab" * 32
    assert (part["rows"][0], part["watched_rows"][0], part["ready"][0]) == (3, 0, 0)


def test_only_the_last_rows_count_however_they_come(files: Path) -> None:
    predictor = OnnxPredictor.open(files / "table.onnx")
    found = []
    for size in (1, 64, 5 * WINDOW):
        part = Tally().parts[0]
        watching = Watching(predictor.manifest, part)
        rows = models.people(5 * WINDOW, seed=9)
        feeds = feeds_of(predictor.manifest, rows)
        outputs = predictor.outputs(rows)
        for at in range(0, len(rows), size):
            here = slice(at, at + size)
            watching.saw({name: values[here] for name, values in feeds.items()}, outputs[here])
            if at % 320 == 0:
                watching.count()
        watching.count()
        assert part["watched_rows"][0] == WINDOW
        assert part["watched_inputs"].sum() == 3 * WINDOW
        assert watching._n_pending == 0
        found.append(part["watched_inputs"].copy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_rows_that_come_while_others_are_counted_are_counted_after_them(files: Path) -> None:
    predictor = OnnxPredictor.open(files / "table.onnx")
    rows = models.people(2 * 400, seed=9)
    feeds, outputs = feeds_of(predictor.manifest, rows), predictor.outputs(rows)
    found = []
    for pauses in (False, True):
        part = Tally().parts[0]
        watching = Watching(predictor.manifest, part)
        for at in (0, 400):
            here = slice(at, at + 400)
            watching.saw({name: values[here] for name, values in feeds.items()}, outputs[here])
            if pauses:
                assert watching.count_on()
                assert watching.count_on()
        watching.count()
        assert not watching.count_on()
        assert part["watched_rows"][0] == 800
        found.append(part["watched_inputs"].copy())
    np.testing.assert_array_equal(found[0], found[1])


def test_what_waits_to_be_counted_is_bounded(files: Path) -> None:
    predictor = OnnxPredictor.open(files / "table.onnx")
    watching = Watching(predictor.manifest, Tally().parts[0])
    rows = models.people(10)
    feeds, outputs = feeds_of(predictor.manifest, rows), predictor.outputs(rows)
    for _ in range(WINDOW):
        watching.saw(feeds, outputs)
    assert watching._n_pending == 500
    assert len(watching._pending) == 50


@pytest.mark.parametrize("kind", ["table", "images", "texts", "sequences", "dates"])
def test_what_is_watched_of_the_inputs_is_what_was_watched_in_training(
    files: Path, kind: str
) -> None:
    predictor = OnnxPredictor.open(files / f"{kind}.onnx")
    manifest = predictor.manifest
    raw = models.raw_of(kind)
    wanted = quantities_of(manifest.fitted, raw)
    columns = {spec.name: spec.columns or [] for spec in manifest.inputs}
    found = quantities_in(feeds_of(manifest, raw), columns)
    assert {*found} == {*wanted} == {shares.name for shares in manifest.statistics.inputs}
    for name, values in wanted.items():
        if values.dtype == object:
            assert [text or None for text in found[name].tolist()] == values.tolist()
        else:
            np.testing.assert_allclose(found[name], values)

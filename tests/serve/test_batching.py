"""Requests that come together are run together, and their answers are those of single ones."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.serve.batcher import Batcher
from hpo.serve.model import Model, load_model
from hpo.serve.options import Limits
from hpo.serve.reading import Reading
from hpo.serve.refusal import Refused
from hpo.serve.tally import Part, Tally
from tests.serve import models
from tests.serve.conftest import Serve

SLOW = 3000
"""Steps that make a call of the model take milliseconds."""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.table(tmp_path_factory.mktemp("slow") / "slow.onnx", slow=SLOW)


@pytest.fixture
def part() -> Part:
    return Tally().parts[0]


def feeds_of(model: Model, rows: list[dict[str, Any]]) -> Any:
    quick = Reading(model.manifest, most_rows=100)._quick
    assert quick is not None
    return quick.feeds(rows)


def one(age: float) -> dict[str, Any]:
    return {"age": age, "income": 1000 * age, "town": models.TOWNS[int(age) % 3]}


def test_the_answers_of_many_at_once_are_those_of_single_requests(serve: Serve, slow: Path) -> None:
    server = serve(slow, "--no-access-log")
    wanted = [server.predict({"rows": [one(age)]}).json["predictions"] for age in range(40)]
    calls = server.metric("hpo_batch_rows_count")
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda age: server.predict({"rows": [one(age)]}), range(40)))
    for got, expected in zip(answers, wanted, strict=True):
        assert got.status == 200
        shares = [
            [*found[0]["probabilities"].values()] for found in (got.json["predictions"], expected)
        ]
        np.testing.assert_allclose(shares[0], shares[1], atol=1e-6)
        assert got.json["predictions"][0]["prediction"] == expected[0]["prediction"]
    assert server.metric("hpo_batch_rows_count") - calls < 40, "none were put together"
    assert server.metric("hpo_rows_total") == 80


def test_those_that_come_at_once_are_one_call(files: Path, part: Part) -> None:
    model = load_model(files / "table.onnx", threads=1)

    async def ask() -> list[Any]:
        batcher = Batcher(Limits(), part)
        asked = [batcher.run(model, feeds_of(model, [one(a)] * (1 + a % 3))) for a in range(9)]
        return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    assert part["batch_rows"][:-1].sum() == 1
    for age, found in enumerate(answers):
        wanted = model.run(feeds_of(model, [one(age)] * (1 + age % 3)))
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_request_alone_waits_only_where_it_was_told_to(files: Path, part: Part) -> None:
    model = load_model(files / "table.onnx", threads=1)

    async def seconds(window_ms: float) -> float:
        loop, batcher = asyncio.get_running_loop(), Batcher(Limits(window_ms=window_ms), part)
        began = loop.time()
        await batcher.run(model, feeds_of(model, [one(1)]))
        return loop.time() - began

    assert asyncio.run(seconds(150)) >= 0.15
    assert asyncio.run(seconds(0)) < 0.1


def test_the_server_answers_others_while_a_model_runs(slow: Path, part: Part) -> None:
    model = load_model(slow, threads=1)
    assert model.expected_seconds(1) > 0.001
    where: list[str] = []

    async def ask() -> None:
        batcher = Batcher(Limits(), part)
        running = asyncio.create_task(batcher.run(model, feeds_of(model, [one(1)])))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        where.append("done" if running.done() else "runs")
        where.extend(thread.name for thread in threading.enumerate() if "model" in thread.name)
        await running
        batcher.close()

    asyncio.run(ask())
    assert where == ["runs", "model_0"]


def test_too_many_that_wait_are_sent_away(files: Path, part: Part) -> None:
    model = load_model(files / "table.onnx", threads=1)

    async def ask() -> list[Any]:
        batcher = Batcher(Limits(queue=2), part)
        asked = [batcher.run(model, feeds_of(model, [one(1)])) for _ in range(4)]
        return await asyncio.gather(*asked, return_exceptions=True)

    *answered, third, fourth = asyncio.run(ask())
    assert all(len(found) == 1 for found in answered)
    for refused in (third, fourth):
        assert isinstance(refused, Refused)
        assert refused.status == 503
        assert (b"retry-after", b"1") in refused.headers


def test_who_has_gone_is_not_computed_for(files: Path, part: Part) -> None:
    model = load_model(files / "table.onnx", threads=1)

    async def ask() -> None:
        batcher = Batcher(Limits(), part)
        gone = asyncio.create_task(batcher.run(model, feeds_of(model, [one(1)])))
        stays = asyncio.create_task(batcher.run(model, feeds_of(model, [one(2)])))
        await asyncio.sleep(0)
        gone.cancel()
        assert len(await stays) == 1

    asyncio.run(ask())
    assert part["rows"][0] == 1


def test_one_that_spoils_a_call_spoils_it_for_itself_alone(files: Path, part: Part) -> None:
    model = load_model(files / "table.onnx", threads=1)
    good = feeds_of(model, [one(1)])
    bad = {**good, "texts": np.array([["\ud800"]], dtype=object)}

    async def ask() -> list[Any]:
        batcher = Batcher(Limits(), part)
        asked = [batcher.run(model, feeds) for feeds in (good, bad, good)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert first.shape == (1, 2)
    np.testing.assert_array_equal(first, third)
    assert isinstance(second, Exception)


def test_a_request_of_many_rows_is_run_in_pieces(files: Path) -> None:
    model = load_model(files / "table.onnx", threads=1)
    rows = [one(age) for age in range(2 * model.rows_at_once + 3)]
    feeds = feeds_of(model, rows)
    whole = model.predictor.session.run(None, feeds)[0]
    np.testing.assert_allclose(model.run(feeds), whole, atol=1e-6)


def test_who_waits_too_long_is_told(serve: Serve, slow: Path) -> None:
    server = serve(slow, "--timeout", 0.02)
    with ThreadPoolExecutor(16) as threads:
        rows = [one(1)] * 2000
        found = list(threads.map(lambda _: server.predict({"rows": rows}), range(16)))
    assert {got.status for got in found} <= {200, 408, 504}
    assert any(got.status in (408, 504) for got in found)
    assert server.predict({"rows": [one(1)]}).status in (200, 504)

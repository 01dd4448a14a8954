"""Requests that no caller should send: each is refused with its reason, and the server goes on."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.serve.conftest import PATIENCE_S, Serve, Server

ROW = {"age": 41, "income": 20_000, "town": "Bonn"}
SECRET = "Verysecretville"
MOST_MORE = 64_000_000
"""Bytes of memory that a bomb may cost; it would be ten times that if it went off."""


def rows(**changed: object) -> str:
    return json.dumps({"rows": [ROW, {**ROW, **changed}]})


def npy(head: str, data: bytes = b"") -> bytes:
    text = head.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


WRONG = {
    "no JSON": ("{", 400, "body", "is no JSON"),
    "empty": ("", 400, "body", "is no JSON"),
    "no UTF-8": (b'{"rows": "\xff"}', 400, "body", "is no JSON"),
    "NaN": ('{"rows": [{"age": NaN}]}', 400, "body", "is no JSON"),
    "Infinity": ('{"rows": [{"age": -Infinity}]}', 400, "body", "is no JSON"),
    "half a character": ('{"rows": [{"town": "\\ud800"}]}', 400, "body", "is no JSON"),
    "more behind it": ('{"rows": []} {}', 400, "body", "is no JSON"),
    "deep": ('{"rows": ' + "[" * 5000 + "]" * 5000 + "}", 413, "body", "too many rows"),
    "deep, but short": ('{"rows": ' + '{"a":' * 160 + "1" + "}" * 160 + "}", 422, "rows", "object"),
    "a key twice": ('{"rows": [{"age": 1, "age": 2}]}', 400, "body", "key 'age' stands twice"),
    "rows twice": ('{"rows": [], "rows": []}', 400, "body", "key 'rows' stands twice"),
    "a key twice, hidden": (
        '{"rows": [{"age": 1, "age" : 2, "income\\u003a": 1}]}',
        400,
        "body",
        "key 'age' stands twice",
    ),
    "a list": ("[]", 422, "body", "is a list"),
    "null": ("null", 422, "body", "is null"),
    "other keys": ('{"row": []}', 422, "body", "has the keys: 'row'"),
    "two forms": ('{"rows": [], "columns": {}}', 422, "body", "has the keys"),
    "no list": ('{"rows": {}}', 422, "rows", "is an object, not a list"),
    "no rows": ('{"rows": []}', 422, "rows", "is empty"),
    "no columns": ('{"columns": {}}', 422, "rows", "is empty"),
    "columns of nothing": ('{"columns": {"age": []}}', 422, "rows", "is empty"),
    "ragged columns": (
        '{"columns": {"age": [1], "income": [1, 2], "town": ["a"]}}',
        422,
        "columns.income",
        "has 2 values",
    ),
    "a column of text": ('{"columns": {"age": "1"}}', 422, "columns.age", "is text"),
    "no object": ('{"rows": [{"age": 1, "income": 1, "town": "a"}, 7]}', 422, "rows[1]", "number"),
    "a column missing": (
        '{"rows": [{"aeg": 1, "income": 1, "town": "a"}]}',
        422,
        "rows[0]",
        "columns missing: 'age'",
    ),
    "text": (rows(age="forty"), 422, "rows[1].age", "text, 'forty'"),
    "a truth": (rows(age=True), 422, "rows[1].age", "true or false"),
    "a list in a cell": (rows(age=[1]), 422, "rows[1].age", "a list"),
    "an object in a cell": (rows(town={"a": 1}), 422, "rows[1].town", "an object"),
    "beyond float64": (
        '{"rows": [{"age": 1e999, "income": 1, "town": "a"}]}',
        400,
        "body",
        "infinity",
    ),
    "a huge whole number": (
        '{"rows": [{"age": ' + "9" * 400 + ', "income": 1, "town": "a"}]}',
        400,
        "body",
        "infinity",
    ),
    "too many rows": (json.dumps({"rows": [ROW] * 101}), 413, "rows", "holds 101"),
    "many small lists": ('{"rows": [' + "[]," * 99_999 + "[]]}", 413, "body", "too many rows"),
    "many small objects": ('{"rows": [' + "{}," * 99_999 + "{}]}", 413, "body", "too many rows"),
}
WRONG_CSV = {
    "empty": ("", 422, "rows", "is empty"),
    "a head": ("age,income,town\n", 422, "rows", "is empty"),
    "no head": ("41,2,Bonn\n42,3,Bonn\n", 422, "body", "columns missing"),
    "ragged": ("age,income,town\n1,2,a\n1,2\n", 422, "line 3", "has 2 fields"),
    "a name twice": ("age,age,town\n1,2,a\n", 422, "body", "column 'age' stands twice"),
    "text": ("age,income,town\n1,2,a\nold,2,a\n", 422, "rows[1].age", "'old'"),
    "infinite": ("age,income,town\ninf,2,a\n", 422, "rows[0].age", "'inf'"),
    "no UTF-8": (b"age,income,town\n1,2,S\xe3o\n", 400, "body", "is not utf-8"),
    "too many": ("age,income,town\n" + "1,2,a\n" * 101, 413, "rows", "holds 101"),
    "zero bytes": (b"\0" * 1000, 422, "rows", "is empty"),
}
HEAD = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
WRONG_NPY = {
    "empty": (b"", 400, "is no .npy file"),
    "cut in the head": (npy(HEAD % "1, 30")[:40], 400, "is no .npy file"),
    "a billion": (npy(HEAD % "1, 1000000000"), 422, "says 1,000,000,000 values"),
    "a billion rows": (npy(HEAD % "1000000000, 30"), 413, "holds 1,000,000,000 rows"),
    "negative": (npy(HEAD % "-1, 30"), 422, "has no rows"),
    "negative twice": (npy(HEAD % "-1, -30", b"\0" * 120), 422, "has no rows"),
    "more than it says": (npy(HEAD % "1, 30", b"\0" * 124), 422, "has 124 bytes"),
    "no rows": (npy(HEAD % "0, 30"), 422, "has no rows"),
    "a number": (npy(HEAD % "", b"\0" * 4), 422, "has no rows"),
    "objects": (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"), 422, "object"),
    "code": (npy("__import__('os').system('true')"), 400, "is no .npy file"),
    "another width": (npy(HEAD % "1, 3", b"\0" * 12), 422, "expected numbers of shape (rows, 30)"),
    "infinite": (npy(HEAD % "1, 30", b"\0\0\x80\x7f" * 30), 422, "NaN or infinite"),
}


@pytest.fixture(scope="module")
def server(serve: Serve, files: Path) -> Server:
    return serve(files / "table.onnx", "--max-rows", 100, "--timeout", 2)


@pytest.fixture(scope="module")
def of_numbers(serve: Serve, files: Path) -> Server:
    return serve(files / "numbers.onnx")


@pytest.fixture(autouse=True)
def _nothing_told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever was sent: no trace of the program in any log, and the server still answers."""
    yield
    for name in {"server", "of_numbers"} & {*request.fixturenames}:
        asked: Server = request.getfixturevalue(name)
        assert asked.get("/ready").status == 200
        assert "Traceback" not in asked.process.err
        assert not asked.events("bug")


@pytest.mark.parametrize(("body", "status", "where", "what"), WRONG.values(), ids=WRONG)
def test_wrong_json_is_refused_by_its_place(
    server: Server, body: str | bytes, status: int, where: str, what: str
) -> None:
    got = server.predict(body)
    assert (got.status, got.error["where"]) == (status, where)
    assert what in got.error["what"]


@pytest.mark.parametrize(("body", "status", "where", "what"), WRONG_CSV.values(), ids=WRONG_CSV)
def test_wrong_csv_is_refused_by_its_place(
    server: Server, body: str | bytes, status: int, where: str, what: str
) -> None:
    got = server.predict(body, "text/csv")
    assert (got.status, got.error["where"]) == (status, where)
    assert what in got.error["what"]


@pytest.mark.parametrize(("body", "status", "what"), WRONG_NPY.values(), ids=WRONG_NPY)
def test_wrong_arrays_are_refused(of_numbers: Server, body: bytes, status: int, what: str) -> None:
    got = of_numbers.predict(body, "application/x-npy")
    assert got.status == status
    assert what in got.error["what"] + got.error["hint"]


def test_json_too_deep_for_any_reader_is_refused(of_numbers: Server) -> None:
    got = of_numbers.predict('{"rows": ' + "[" * 4000 + "]" * 4000 + "}")
    assert (got.status, got.error["where"]) == (400, "body")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/x-npy",
        "text/plain",
        "application/xml",
        "multipart/form-data",
        "image/png",
        "a",
    ],
)
def test_an_unknown_content_type_is_refused(server: Server, content_type: str) -> None:
    got = server.predict(rows(), content_type)
    assert got.status == 415
    assert got.error["hint"] == "application/json or text/csv"


def test_an_answer_that_nobody_can_read_is_not_given(server: Server) -> None:
    assert server.predict(rows(), accept="image/png").status == 406
    assert server.predict(rows(), accept="image/png, */*").status == 200


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_unknown_encodings_are_refused(server: Server, encoding: str) -> None:
    assert server.predict(rows(), content_encoding=encoding).status == 415


def test_a_packed_body_is_unpacked(server: Server) -> None:
    packed = gzip.compress(rows().encode())
    assert server.predict(packed, content_encoding="gzip").status == 200
    assert server.predict(packed[:-9], content_encoding="gzip").status == 400
    assert server.predict(rows(), content_encoding="gzip").status == 400


def test_a_zip_bomb_does_not_go_off(server: Server) -> None:
    before = server.memory
    bomb = gzip.compress(b"0" * 1_000_000_000, compresslevel=1)
    got = server.predict(bomb, content_encoding="gzip")
    assert got.status == 413
    assert server.memory - before < MOST_MORE


def test_a_body_of_lists_does_not_fill_the_memory(server: Server) -> None:
    before = server.memory
    assert server.predict('{"rows": [' + "[]," * 3_000_000 + "[]]}").status == 413
    strings = json.dumps({"rows": [{**ROW, "town": "[{" * 2_000_000}]})
    assert server.predict(strings).status == 200
    assert server.memory - before < MOST_MORE


def test_a_large_body_is_refused_before_it_is_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(head("content-length: 100000000"))
        got = asking.recv(4096)
    assert got.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in got


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_mb_is_answered_and_not_kept(server: Server, chunked: bool) -> None:
    before = server.memory
    piece = b"x" * 1_000_000
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        how = "transfer-encoding: chunked" if chunked else "content-length: 100000000"
        asking.sendall(head(how))
        try:
            for _ in range(100):
                asking.sendall(b"f4240\r\n" + piece + b"\r\n" if chunked else piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has closed: the answer may be there all the same
        try:
            got = asking.recv(4096)
        except ConnectionResetError:
            got = b""
    assert got == b"" or got.startswith(b"HTTP/1.1 413")
    assert server.metric("hpo_errors_total", reason="body") > 0
    assert server.memory - before < MOST_MORE


def test_a_body_that_does_not_come_is_not_waited_for(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(head("content-length: 100") + b'{"rows"')
        began = time.monotonic()
        got = asking.recv(4096)
    assert got.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("sent", [b"", b"POST /predict HTTP/1.1\r\nhost: "])
def test_a_connection_that_stays_silent_is_closed(server: Server, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(sent)
        assert asking.recv(4096) == b""


def test_half_a_head_behind_an_answer_is_not_waited_for(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert asking.recv(4096).startswith(b"HTTP/1.1 200")
        asking.sendall(b"GET /health HTTP/1.1\r\n")
        while asking.recv(4096):
            continue


def test_a_caller_who_goes_away_is_no_bug(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(head("content-length: 100") + b'{"rows"')
    server.wait_for(lambda: any(line.get("status") == 499 for line in server.log))


@pytest.mark.parametrize("lines", [b"x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100])
def test_what_is_no_http_is_refused(server: Server, lines: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(lines + b"\r\n\r\n")
        assert asking.recv(4096).startswith(b"HTTP/1.1 400")


def test_no_value_of_a_row_is_logged(server: Server) -> None:
    server.predict(rows(town=SECRET))
    server.predict(rows(age=SECRET))
    server.predict(rows(town=[SECRET]))
    server.predict(SECRET)
    server.predict(f"age,income,town\n{SECRET},1,a\n", "text/csv")
    server.get(f"/?q={SECRET}")
    server.get(f"/{SECRET}", x_request_id=f"{SECRET}\u00e9")
    server.wait_for(lambda: any(line.get("route") == "other" for line in server.log))
    assert SECRET not in server.process.err


def test_each_request_is_logged_with_its_id(server: Server) -> None:
    got = server.predict(rows(), x_request_id="abc-1")
    assert got.headers["x-request-id"] == "abc-1"

    def logged() -> list[dict[str, object]]:
        return [line for line in server.log if line.get("request_id") == "abc-1"]

    server.wait_for(lambda: bool(logged()))
    (line,) = logged()
    assert {"route": "/predict", "status": 200, "rows": 2}.items() <= line.items()
    assert isinstance(line["ms"], float)
    for wrong in ("a b", "x" * 65, "\n", '"'):
        assert server.predict(rows(), x_request_id=wrong.strip()).headers["x-request-id"] != wrong


def test_a_fortran_array_is_read_as_it_is_meant(of_numbers: Server) -> None:
    import io

    values = np.random.default_rng(0).normal(size=(5, 30))
    found = []
    for order in ("C", "F"):
        stream = io.BytesIO()
        np.save(stream, np.asarray(values, order=order))
        found.append(of_numbers.predict(stream.getvalue(), "application/x-npy").json)
    assert found[0] == found[1]


def head(line: str) -> bytes:
    lines = ("POST /predict HTTP/1.1", "host: localhost", "content-type: application/json", line)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()

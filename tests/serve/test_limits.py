"""What a caller can make a server spend: time, memory and answers that are none."""

import asyncio
import gzip
import io
import json
import socket
import time
from pathlib import Path

import pytest
from PIL import Image

from hpo.errors import EnvironmentFault
from hpo.serve.body import GoneError, Message, read_body
from hpo.serve.processes import listening
from hpo.serve.refusal import Refused
from tests.serve import models
from tests.serve.conftest import PATIENCE_S, Serve, Server
from tests.serve.test_abuse import HEAD, MOST_MORE, ROW, head, npy, rows

QUICK_S = 10
"""What took minutes before takes a part of a second."""
TABLE = "age,income,town\n41,20000,Bonn\n"
HEADS = {
    "brackets that stay open": "{'descr': ((((",
    "a text that stays open": "{'descr': '''abc",
    "thousands of signs": "-" * 4000 + "1",
    "no Python": " \n  {'descr'",
    "a hundred axes": HEAD % ("1," * 100),
    "a truth for a size": HEAD % "True, 30",
}


@pytest.fixture(scope="module")
def server(serve: Serve, files: Path) -> Server:
    return serve(files / "table.onnx", "--timeout", 2)


@pytest.fixture(scope="module")
def of_numbers(serve: Serve, files: Path) -> Server:
    return serve(files / "numbers.onnx")


@pytest.mark.parametrize(
    "body",
    [
        '{"rows":[' + "[" * 100_000 + '"' + '\\"' * 200_000,
        '{"rows":[{' + ",".join(f'"k{i}":1' for i in range(20_000)) + ',"k19999":1}]}',
        '{"rows":[{' + ",".join(f'"k{i}":1' for i in range(500_000)) + "}]}",
    ],
    ids=["a text that does not end", "a late key twice", "many unknown keys"],
)
def test_json_made_to_take_long_does_not(server: Server, body: str) -> None:
    began = time.monotonic()
    assert server.predict(body).status in (400, 413, 422)
    assert time.monotonic() - began < QUICK_S


def test_csv_of_many_columns_does_not_take_long(server: Server) -> None:
    names = ",".join(f"c{i}" for i in range(60_000))
    began = time.monotonic()
    twice = server.predict(f"{names},c59999\n{'1,' * 60_000}1\n", "text/csv")
    wide = server.predict(f"{names}\n{'1,' * 59_999}1\n", "text/csv")
    assert time.monotonic() - began < QUICK_S
    assert twice.error["what"] == "column 'c59999' stands twice"
    assert wide.error["what"] == "has 60,000 columns"


def test_a_refusal_quotes_no_whole_body(server: Server) -> None:
    assert len(server.predict(rows(age="y" * 1_000_000)).body) < 10_000


@pytest.mark.parametrize(
    "charset", ["undefined", "idna", "punycode", "utf-7", "unicode_escape", "hex", "x" * 5000]
)
def test_codecs_that_are_no_charsets_are_refused(server: Server, charset: str) -> None:
    got = server.predict(TABLE, f"text/csv; charset={charset}")
    assert (got.status, got.error["where"]) == (400, "body")


@pytest.mark.parametrize("charset", ["utf8", "UTF-16", "windows-1252", "koi8-u", "gb18030"])
def test_charsets_are_read(server: Server, charset: str) -> None:
    got = server.predict(TABLE.encode(charset), f"text/csv; charset={charset}")
    assert got.json == server.predict(TABLE, "text/csv").json


def test_the_mark_of_utf_8_is_no_part_of_a_name(server: Server) -> None:
    for charset in ("", "; charset=utf-8", "; charset=UTF8"):
        assert server.predict("\ufeff" + TABLE, f"text/csv{charset}").status == 200


def test_a_quote_that_does_not_end_is_refused(server: Server) -> None:
    got = server.predict('age,income,town\n1,2,"a\n1,2,b\n', "text/csv")
    assert (got.status, got.error["what"]) == (400, "is no CSV: a quote does not end")


@pytest.mark.parametrize("text", HEADS.values(), ids=HEADS)
def test_heads_of_arrays_that_numpy_stumbles_over_are_refused(
    of_numbers: Server, text: str
) -> None:
    got = of_numbers.predict(npy(text, b"\0" * 120), "application/x-npy")
    assert (got.status, got.error["what"]) == (400, "is no .npy file")
    assert not of_numbers.events("bug")


def test_an_array_that_python_2_wrote_is_read_and_the_log_stays_json(of_numbers: Server) -> None:
    assert of_numbers.predict(npy(HEAD % "1L, 30L", b"\0" * 120), "application/x-npy").status == 200
    assert of_numbers.log


def test_rows_that_a_model_makes_no_number_of_are_refused(server: Server) -> None:
    wrong = json.dumps({"rows": [ROW, {**ROW, "age": 1e300, "income": -1e300}]})
    for accept in ("application/json", "text/csv"):
        got = server.predict(wrong, accept=accept)
        assert (got.status, got.error["where"]) == (422, "rows[1]")


def test_all_members_of_a_gzip_stream_are_read(server: Server) -> None:
    packed = gzip.compress(TABLE.encode()) + gzip.compress(b"42,1,Kyiv\n")
    got = server.predict(packed, "text/csv", content_encoding="gzip")
    assert len(got.json["predictions"]) == 2
    got = server.predict(packed + b"more", "text/csv", content_encoding="gzip")
    assert got.status == 400


def test_what_is_packed_counts_even_if_it_unpacks_to_nothing() -> None:
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        sent += 1
        if sent > 100:
            raise GoneError
        return {"type": "http.request", "body": gzip.compress(b"") * 50, "more_body": True}

    with pytest.raises(Refused, match="is too large"):
        asyncio.run(read_body(receive, {b"content-encoding": b"gzip"}, most=10_000))


def test_a_length_of_thousands_of_digits_is_a_length(server: Server) -> None:
    body = rows()
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(head(f"content-length: {'0' * 5000}{len(body)}") + body.encode())
        assert asking.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("piece", [b"x: aaaaaaa\r\n" * 100_000, b"a" * 1_000_000])
def test_a_head_without_end_is_not_listened_to(server: Server, piece: bytes) -> None:
    before = server.memory
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        asking.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            asking.sendall(piece * 50)
    assert server.memory - before < MOST_MORE


def test_many_requests_at_once_are_no_long_head(server: Server) -> None:
    sent, got = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 3000, b""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as asking:
        for start in range(0, len(sent), 1000):
            asking.sendall(sent[start : start + 1000])
        while got.count(b'{"status":"alive"}') < 3000:
            more = asking.recv(1_000_000)
            assert more, "closed"
            got += more


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_port_is_taken_before_the_model_is_loaded(n_workers: int) -> None:
    sockets = listening("127.0.0.1", 0, n_workers)
    try:
        port = sockets[0].getsockname()[1]
        with pytest.raises(EnvironmentFault, match="Address already in use"):
            listening("127.0.0.1", port, n_workers)
    finally:
        for one in sockets:
            one.close()


def test_what_a_library_warns_of_is_a_line_of_the_log(serve: Serve, tmp_path: Path) -> None:
    stream = io.BytesIO()
    broken = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0"
    Image.new("RGB", (20, 20)).save(stream, "JPEG", exif=broken)
    data = {"source": "image_folder", "path": "pictures", "size": 8, "channels": "grey"}
    server = serve(models.images(tmp_path / "files.onnx", data=data))
    assert server.predict(stream.getvalue(), "image/jpeg").status == 200
    (line,) = server.events("warning")
    assert line["kind"] == "UserWarning"

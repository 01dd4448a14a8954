from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import pytest

from hpo.dashboard.guard import MOST_BYTES, Access, Guard
from hpo.errors import UsageError

TOKEN = "0123456789abcdef"
SAFE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Got:
    status: int
    headers: Mapping[str, str]
    body: bytes


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [environ["REQUEST_METHOD"].encode()]


def fails(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise RuntimeError("secret")


Send = Callable[..., Got]


def send(guard: Guard, path: str = "/", method: str = "GET", query: str = "", **extra: str) -> Got:
    """Return what a guard answers, with its own host unless another is given."""
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "QUERY_STRING": query}
    environ |= {"HTTP_HOST": "127.0.0.1:8080", "SERVER_PORT": "8080"} | extra
    said: list[Any] = []
    body = guard(environ, lambda status, headers, *rest: said.append((status, headers)))
    ((status, headers),) = said
    return Got(int(status[:3]), {k.lower(): v for k, v in headers}, b"".join(body))


HOSTS = [
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.1:8080/evil",
    "127.0.0.1:x",
    "[::1",
    "192.168.0.7:8080",
    "",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_foreign_host_is_refused(host: str) -> None:
    got = send(Guard(echo, Access()), HTTP_HOST=host)
    assert (got.status, got.body) == (403, b"this dashboard answers to 127.0.0.1 only\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:8080", "LOCALHOST:8080"])
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert send(Guard(echo, Access()), HTTP_HOST=host).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:9999",  # another program of this machine
        "http://localhost:8080",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_the_pages_of_another_site_are_refused(method: str, origin: str) -> None:
    path = "/api/studies/1/note"
    guard = Guard(echo, Access(notes=True))
    assert send(guard, path, method, HTTP_ORIGIN=origin).status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
@pytest.mark.parametrize("path", ["/", "/api/studies", "/api/studies/1/note", "/tb/data/runs"])
def test_nothing_is_written_by_default(method: str, path: str) -> None:
    got = send(Guard(echo, Access()), path, method)
    assert (got.status, got.headers["allow"]) == (405, "GET, HEAD")
    assert b"for looking only" in got.body


def test_tensorboard_may_ask_by_post_and_nobody_may_ask_at_length() -> None:
    guard = Guard(echo, Access())
    for below in ("", "study/tiny/", "study/tiny/experiment/defaultExperimentId/"):
        path = f"/tb/{below}data/plugin/hparams/session_groups"
        assert send(guard, path, "POST", CONTENT_LENGTH="10").status == 200
        assert send(guard, path, "PUT", CONTENT_LENGTH="10").status == 405
        assert send(guard, path, "POST", CONTENT_LENGTH=str(MOST_BYTES + 1)).status == 413
        assert send(guard, path, "POST").status == 411


def test_with_notes_the_two_addresses_of_notes_can_be_written() -> None:
    guard = Guard(echo, Access(notes=True))
    note = {"CONTENT_LENGTH": "2", "CONTENT_TYPE": "application/json;charset=utf-8"}
    for path in ("/api/studies/1/note", "/api/studies/1/23/note"):
        assert send(guard, path, "PUT", **note).status == 200
        assert send(guard, path, "POST", **note).status == 405
        assert send(guard, path, "PUT", **{**note, "CONTENT_TYPE": "text/plain"}).status == 415
    for path in ("/api/studies/1/note/", "/api/studies/x/note", "/api/studies/1/2/3/note"):
        assert send(guard, path, "PUT", **note).status == 405


@pytest.mark.parametrize("path", ["/hpo/report/../..", "/a/..", "/a\\b", "/a\x00", "/a\n"])
def test_a_path_that_climbs_is_refused(path: str) -> None:
    assert send(Guard(echo, Access()), path).status == 400


def test_a_head_request_has_no_body() -> None:
    got = send(Guard(echo, Access()), method="HEAD")
    assert (got.status, got.body) == (200, b"")


def test_a_bug_tells_the_browser_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    got = send(Guard(fails, Access()))
    assert (got.status, got.body) == (500, b"a bug of ours; see the terminal\n")
    assert "secret" in caplog.text


REFUSALS = {
    200: {},
    303: {"query": f"token={TOKEN}&a=%3C"},
    400: {"path": "/.."},
    401: {"HTTP_AUTHORIZATION": ""},
    403: {"HTTP_HOST": "evil.example"},
    405: {"method": "DELETE"},
}


@pytest.mark.parametrize("status", REFUSALS)
def test_every_answer_says_what_a_page_of_it_may_do(status: int) -> None:
    pass_key = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"} if status != 303 else {}
    guard = Guard(echo, Access(token=TOKEN))
    got = send(guard, **{**pass_key, **REFUSALS[status]})
    assert got.status == status
    assert got.headers.items() >= SAFE.items()
    assert "frame-ancestors 'none'" in got.headers["content-security-policy"]


def test_a_token_in_the_address_becomes_a_cookie_that_does_not_tell_it() -> None:
    guard = Guard(echo, Access(token=TOKEN))
    got = send(guard, "//evil.example/x", query=f"token={TOKEN}&a=1")
    assert (got.status, got.headers["location"]) == (303, "/evil.example/x?a=1")
    kept = got.headers["set-cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=Strict" in kept
    assert TOKEN not in kept
    (cookie,) = SimpleCookie(kept).values()
    assert send(guard, HTTP_COOKIE=f"{cookie.key}={cookie.value}").status == 200
    assert send(guard, HTTP_COOKIE=f"{cookie.key}={cookie.value[:-1]}").status == 401
    assert send(guard, HTTP_COOKIE=f"{cookie.key}={TOKEN}").status == 401


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"query": "token=wrong"},
        {"query": f"token={TOKEN}", "method": "HEAD"},
        {"HTTP_AUTHORIZATION": "Bearer wrong"},
        {"HTTP_AUTHORIZATION": f"Basic {TOKEN}"},
        {"HTTP_COOKIE": ";;=;\x01"},
    ],
)
def test_without_the_token_nothing_is_seen(extra: dict[str, str]) -> None:
    got = send(Guard(echo, Access(token=TOKEN)), **extra)
    assert got.status == 401
    assert b"GET" not in got.body


def test_a_bearer_with_the_token_is_let_in() -> None:
    got = send(Guard(echo, Access(token=TOKEN)), HTTP_AUTHORIZATION=f"Bearer {TOKEN}")
    assert got.body == b"GET"


def test_elsewhere_addresses_and_own_names_are_answered_and_no_others() -> None:
    guard = Guard(echo, Access(names=frozenset({"box"}), any_address=True))
    for host in ("192.168.0.7:8080", "[fe80::1]:80", "box"):
        assert send(guard, HTTP_HOST=host).status == 200
    assert send(guard, HTTP_HOST="evil.example").status == 403


@pytest.mark.parametrize(
    "token", ["short", "x" * 15, "ö" * 20, "a b c d e f g h i j", "a" * 16 + "\n"]
)
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match=r"^token: .*; 16 letters or more"):
        Access(token=token)

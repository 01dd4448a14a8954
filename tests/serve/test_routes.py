"""Every address there is, asked by those who may not: an address made tomorrow is covered too."""

import json
from pathlib import Path

import pytest

from hpo.access import SHORTEST_TOKEN
from hpo.serve.guard import OPEN
from hpo.serve.log import Log
from hpo.serve.options import Options
from hpo.serve.service import Service
from hpo.serve.site import make_site
from hpo.serve.tally import Tally
from tests.conftest import Command
from tests.serve.conftest import Got, Serve, Server

TOKEN = "a-token-of-many-letters"
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD")


def all_routes() -> list[tuple[str, frozenset[str]]]:
    """Every address of the site, and what it may be asked with."""
    tally = Tally()
    options = Options(model=Path("model.onnx"))
    site = make_site(Service(options, tally, tally.parts[0], Log()))
    found = {(route.path, frozenset(route.methods or ())) for route in site.routes}
    return sorted([*found, ("/predict", frozenset({"POST"}))], key=lambda pair: pair[0])


ROUTES = all_routes()
PATHS = [path for path, _ in ROUTES]


def is_refusal(got: Got) -> bool:
    return set(got.error) == {"where", "what", "hint"} and "Traceback" not in got.body.decode()


@pytest.fixture(scope="module")
def locked(serve: Serve, files: Path) -> Server:
    """A server that wants a token."""
    return serve(files / "table.onnx", environment={"HPO_TOKEN": TOKEN})


def test_there_are_the_addresses_that_are_documented() -> None:
    assert {"/", "/predict", "/health", "/ready", "/metadata", "/metrics", "/openapi.json"} <= {
        *PATHS
    }
    assert not {"/docs", "/redoc"} & {*PATHS}, "their pages load scripts from elsewhere"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_name_than_its_own_is_refused(people: Server, path: str, host: str) -> None:
    got = people.ask("GET", path, headers={"Host": host})
    assert got.status == 400
    assert is_refusal(got)


@pytest.mark.parametrize("path", PATHS)
def test_the_page_of_another_site_is_refused(people: Server, path: str) -> None:
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{people.port + 1}"):
        for method in METHODS[:-1]:
            got = people.ask(method, path, headers={"Origin": origin})
            assert got.status == 403
            assert is_refusal(got)
            assert not any(name.startswith("access-control") for name in got.headers)


@pytest.mark.parametrize(("path", "methods"), ROUTES, ids=PATHS)
def test_other_methods_are_refused(people: Server, path: str, methods: frozenset[str]) -> None:
    for method in {*METHODS} - methods - {"HEAD"}:
        got = people.ask(method, path)
        assert got.status == 405
        assert {*got.headers["allow"].split(", ")} == methods
        assert is_refusal(got)


@pytest.mark.parametrize(("path", "methods"), ROUTES, ids=PATHS)
def test_without_the_token_only_health_is_told(
    locked: Server, path: str, methods: frozenset[str]
) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": f"hpo_serve_{locked.port}={TOKEN}; hpo_serve_x=y"},
    ):
        for method in methods:
            got = locked.ask(method, path, headers=headers)
            assert got.status == (200 if path in OPEN else 401)
    assert OPEN == {"/health", "/ready"}


@pytest.mark.parametrize(("path", "methods"), ROUTES, ids=PATHS)
def test_every_answer_says_what_a_page_of_it_may_do(
    people: Server, path: str, methods: frozenset[str]
) -> None:
    for method in methods:
        got = people.ask(method, path)
        policy = got.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http:" not in policy
        assert got.headers["x-content-type-options"] == "nosniff"
        assert got.headers["x-frame-options"] == "DENY"
        assert got.headers["x-request-id"]
        assert "server" not in got.headers


@pytest.mark.parametrize(
    "path",
    ["/predict/", "/predict;a", "/%2e%2e%252fetc/passwd", "/..%2f..%2fetc/passwd", "/docs", "//x"],
)
def test_addresses_that_there_are_not(people: Server, path: str) -> None:
    got = people.get(path)
    assert got.status in (400, 404)
    assert is_refusal(got)


def test_the_token_lets_in_by_header_and_by_cookie(locked: Server) -> None:
    assert locked.get("/metadata", authorization=f"Bearer {TOKEN}").status == 200
    entry = locked.get(f"/?a=1&token={TOKEN}")
    assert (entry.status, entry.headers["location"]) == (303, "/?a=1")
    cookie = entry.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    assert locked.get("/metadata", cookie=cookie.partition(";")[0]).status == 200
    assert locked.get("/?token=wrong").status == 401
    assert locked.predict({}, authorization=f"Bearer {TOKEN}").status == 422


def test_the_token_is_in_no_log_and_no_argument(locked: Server) -> None:
    locked.get(f"/?token={TOKEN}")
    locked.get("/metrics", authorization=f"Bearer {TOKEN}")
    arguments = Path(f"/proc/{locked.process.pid}/cmdline")
    assert TOKEN not in locked.process.err + locked.process.out
    assert not arguments.exists() or TOKEN not in arguments.read_text()


def test_another_name_may_be_allowed(serve: Serve, files: Path) -> None:
    server = serve(files / "table.onnx", "--allow-host", "Predict.Example.org")
    headers = {"Host": "predict.example.org", "Origin": "https://predict.example.org"}
    assert server.ask("GET", "/metadata", headers=headers).status == 200
    assert server.ask("GET", "/metadata", headers={"Host": "example.org"}).status == 400


def test_others_may_ask_by_any_address_of_the_machine(serve: Serve, files: Path) -> None:
    server = serve(files / "table.onnx", "--host", "0.0.0.0", environment={"HPO_TOKEN": TOKEN})
    assert server.ask("GET", "/health", headers={"Host": "10.1.2.3:8000"}).status == 200
    assert server.ask("GET", "/health", headers={"Host": "evil.example"}).status == 400
    assert server.ask("GET", "/metadata", headers={"Host": "10.1.2.3"}).status == 401


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "others could ask without a token"),
        (["--token-file", "short"], "has 5 characters"),
        (["--token-file", "none"], "cannot be read"),
        (["--allow-host", "http://a.b/"], "is no host name"),
        (["--host", "0.0.0.0", "--token-file", "empty"], "has 0 characters"),
    ],
)
def test_a_server_that_would_be_open_does_not_start(
    cli: Command,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_TOKEN", raising=False)
    Path("short").write_text("short\n")
    Path("empty").write_text("\n")
    got = cli("serve", files / "table.onnx", "--port", 0, *options)
    assert got.code == 2
    assert said in got.err


def test_a_token_comes_from_one_place(
    cli: Command, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("t" * SHORTEST_TOKEN)
    monkeypatch.setenv("HPO_TOKEN", TOKEN)
    got = cli("serve", files / "table.onnx", "--port", 0, "--token-file", token)
    assert got.code == 2
    assert "HPO_TOKEN is set too" in got.err


def test_the_description_is_of_the_models_own_columns(people: Server) -> None:
    found = people.get("/openapi.json").json
    row = found["components"]["schemas"]["Row"]
    assert row["required"] == ["age", "income", "town"]
    assert row["properties"]["town"]["examples"] == ["Bonn", "Kyiv", "São Paulo"]
    assert row["properties"]["age"]["type"] == ["number", "null"]
    answer = found["components"]["schemas"]["Answer"]["properties"]["predictions"]["items"]
    assert answer["properties"]["prediction"]["enum"] == ["no", "yes"]
    assert {"/predict", "/metadata", "/health", "/ready", "/metrics"} == {*found["paths"]}
    assert people.predict({"rows": row["examples"]}).status == 200
    assert "http" not in json.dumps(found["paths"]), "nothing is loaded from elsewhere"
    asked = [how for path in found["paths"].values() for how in path.values()]
    assert len({how["operationId"] for how in asked}) == len(asked)
    assert people.log, "it is JSON, without warnings"

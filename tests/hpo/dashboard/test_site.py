import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import optuna_dashboard
import pytest
from optuna.storages import InMemoryStorage

from hpo.dashboard import Dashboard, Options
from hpo.dashboard.guard import NOTES
from hpo.errors import EnvironmentFault, UsageError
from hpo.layout import StudyFolder

BODY = json.dumps({"version": 1, "body": "mine"}).encode()


def test_one_port_serves_our_pages_optunas_and_tensorboard(board: Dashboard, ask) -> None:
    pages = {
        "/": "text/html; charset=utf-8",
        "/hpo/study/tiny": "text/html; charset=utf-8",
        "/hpo/trial/tiny/0": "text/html; charset=utf-8",
        "/hpo/style.css": "text/css",
        "/hpo/icon.svg": "image/svg+xml",
        "/dashboard": "text/html",
        "/api/studies": "application/json",
        "/tb/": "text/html; charset=utf-8",
        "/tb/study/tiny/": "text/html; charset=utf-8",
        "/tb/study/tiny/data/runs": "application/json",
        "/font-roboto/RxZJdnzeo3R5zSexge8UUZBw1xU1rKptJj_0jans920.woff2": "font/woff2",
    }
    got = {path: ask(board, path) for path in pages}
    assert {path: one.status for path, one in got.items()} == dict.fromkeys(pages, 200)
    kinds = {path: one.headers["content-type"] for path, one in got.items()}
    assert {path: kind.replace("; charset=UTF-8", "") for path, kind in kinds.items()} == pages


def test_the_index_shows_the_study_as_its_records_do(board: Dashboard, ask, finished) -> None:
    page = ask(board).body.decode()
    best = finished.outcome.best
    assert f"<b>{best.metric['value']:#.4g}</b>" in page
    states = [record.state for record in finished.records]
    for state, sign in (("complete", "ok"), ("pruned", "cut"), ("failed", "bad")):
        assert f'<span class="{sign}">{states.count(state)}</span>' in page
    for link in ("/hpo/report/tiny", "/dashboard/studies/1", "/tb/study/tiny/", "/hpo/study/tiny"):
        assert f'href="{link}' in page
    assert 'name="study" value="tiny"' in page


def test_a_failed_trial_says_why(board: Dashboard, ask, finished) -> None:
    record = finished.of("failed")
    page = ask(board, f"/hpo/trial/tiny/{record.number}").body.decode()
    assert record.what[:40] in page
    assert f"<dd>{record.reason}</dd>" in page


def test_the_dashboard_shows_every_trial_of_the_study(board: Dashboard, ask, finished) -> None:
    (study,) = json.loads(ask(board, "/api/studies").body)["study_summaries"]
    assert study["study_name"] == "tiny"
    detail = json.loads(ask(board, f"/api/studies/{study['study_id']}?after=0").body)
    words = {"complete": "Complete", "pruned": "Pruned", "failed": "Fail"}
    expected = [words[record.state] for record in finished.records]
    assert [trial["state"] for trial in detail["trials"]] == expected
    assert detail["best_trials"][0]["number"] == finished.outcome.best.study["trial"]
    assert "**Best: [trial" in detail["note"]["body"]
    assert "best-so-far" in json.dumps(detail["plotly_graph_objects"])


def test_tensorboard_lists_all_parameters_of_a_study_by_itself(board, ask, finished) -> None:
    runs = json.loads(ask(board, "/tb/study/tiny/data/runs").body)
    assert any(run.startswith("t0000-mlp-adamw") for run in runs)
    path = "/tb/study/tiny/data/plugin/hparams/experiment"
    sent = ask(board, path, "POST", body=b'{"experimentName": ""}', Content_Type="application/json")
    names = {info["name"] for info in json.loads(sent.body)["hparamInfos"]}
    assert names == {*(p.name for p in finished.spec.space.parameters()), "state"}
    assert ask(board, "/tb/study/other/data/runs").status == 404
    assert ask(board, "/tb/study/tiny").headers["location"] == "/tb/study/tiny/"


def test_a_study_artifact_is_the_file_itself_and_is_nobody_as_a_page(board, ask, finished) -> None:
    artifacts = json.loads(ask(board, "/api/studies/1").body)["artifacts"]
    by_name = {one["filename"]: one["artifact_id"] for one in artifacts}
    got = ask(board, f"/artifacts/1/{by_name['best_config.json']}")
    assert got.body == finished.folder.best_config.read_bytes()
    assert got.headers["content-security-policy"].endswith("sandbox")
    assert got.headers["content-disposition"] == "attachment"
    assert "access-control-allow-origin" not in got.headers


@pytest.mark.parametrize(
    "path",
    [
        "/hpo/report/../..",
        "/hpo/report/%2e%2e/%2e%2e",
        "/hpo/report/..%2f..%2fetc%2fpasswd",
        "/hpo/trial/tiny/0/..%2f..%2fbest_config.json",
        "/hpo/trial/tiny/0/result.json",
        "/hpo/trial/tiny/99",
        "/hpo/trial/tiny/-1",
        "/hpo/trial/tiny/0000",
        "/hpo/study/%00",
        "/hpo/study/" + quote("<script>"),
        "/hpo/study/" + "x" * 5000,
        "/static/..%2findex.html",
        "/static/%2e%2e/%2e%2e/_app.py",
        "/tb/%2e%2e/%2e%2e/etc/passwd",
        "/tb/study/..%2f..",
        "/artifacts/1/00000000-0000-0000-0000-000000000000",
        "/nothing",
    ],
)
def test_no_path_leads_out(board: Dashboard, ask, path: str) -> None:
    got = ask(board, path)
    assert got.status in (400, 404)
    assert b"<script>" not in got.body
    assert b"root:" not in got.body


def _written_routes() -> list[tuple[str, str]]:
    """Return every route of Optuna's dashboard that is no look, with numbers in its gaps."""
    routes = optuna_dashboard.wsgi(InMemoryStorage()).routes
    found = [(r.method, re.sub(r"<[^>]+>", "1", r.rule)) for r in routes if r.method != "GET"]
    assert len(found) > 12
    return sorted(found)


@pytest.mark.parametrize("notes", [False, True])
def test_every_route_that_writes_is_refused_but_notes_where_allowed(
    results: Path, tmp_path: Path, ask, notes: bool
) -> None:
    shutil.copytree(results, tmp_path / "results")
    board = Dashboard(tmp_path / "results", options=Options(notes=notes, tensorboard=False))
    try:
        for method, path in _written_routes():
            if notes and NOTES.fullmatch(path) and method == "PUT":
                continue
            got = ask(board, path, method, body=BODY, Content_Type="application/json")
            assert (got.status, path) == (405, path)
    finally:
        board.close()


def test_a_note_is_kept_below_ours_and_ours_is_never_stored(
    results: Path, tmp_path: Path, ask
) -> None:
    shutil.copytree(results, tmp_path / "results")
    board = Dashboard(tmp_path / "results", options=Options(notes=True, tensorboard=False))

    def note() -> dict:
        return json.loads(ask(board, "/api/studies/1").body)["note"]

    def save(version: int, body: str) -> int:
        sent = json.dumps({"version": version, "body": body}).encode()
        where = "/api/studies/1/note"
        return ask(board, where, "PUT", body=sent, Content_Type="application/json").status

    try:
        ours = note()["body"]
        assert save(1, ours + "\n\n---\n\n<script>alert(1)</script> and `this`") == 204
        assert note()["body"] == ours + "\n\n---\n\n<script>alert(1)</script> and `this`"
        assert save(1, "too late") == 409
        assert save(2, "all of it mine") == 204
        assert note()["body"] == ours + "\n\n---\n\nall of it mine"
        assert save(3, note()["body"] + "\nmore " + "x" * 5000) == 204
        assert note()["body"].endswith("mine\nmore " + "x" * 5000)
        assert save(4, "") == 204
        assert note()["body"] == ours
        for broken in (b"[]", b"{}", b'{"version": "1", "body": "x"}', b"no json"):
            where = "/api/studies/1/note"
            sent = ask(board, where, "PUT", body=broken, Content_Type="application/json")
            assert sent.status == 400
        where, sent_note = "/api/studies/1/2/note", {"version": 1, "body": "of a trial"}
        body = json.dumps(sent_note).encode()
        assert ask(board, where, "PUT", body=body, Content_Type="application/json").status == 204
        trials = json.loads(ask(board, "/api/studies/1").body)["trials"]
        assert trials[1]["note"] == sent_note
    finally:
        board.close()


def test_every_answer_of_the_server_has_its_headers(board: Dashboard, ask) -> None:
    first = ask(board, "/static/bundle.js")
    asked = {
        200: {"path": "/"},
        302: {"path": "/incompatible-rdb-schema"},
        304: {"path": "/static/bundle.js", "If_None_Match": first.headers.get("etag", "")},
        308: {"path": "/tb"},
        400: {"path": "/.."},
        403: {"Host": "evil.example"},
        404: {"path": "/nothing"},
        405: {"method": "DELETE"},
    }
    for status, extra in asked.items():
        got = ask(board, **extra)
        assert got.status == status
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in got.headers["content-security-policy"]


def test_what_is_hardly_http_is_answered_with_the_same_headers(board: Dashboard) -> None:
    port = int(board.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n")
        said = raw.makefile("rb").read().lower()
    assert b" 431 " in said.splitlines()[0]
    assert b"x-content-type-options: nosniff" in said
    assert b"content-security-policy: default-src 'none'" in said


def test_looking_changes_no_byte_of_the_storage(results: Path, board, ask, finished) -> None:
    for path in ("/api/studies", "/api/studies/1?after=0", "/dashboard/studies/1", "/", "/csv/1"):
        assert ask(board, path).status == 200
    original = (finished.results / "storage.sqlite").read_bytes()
    assert (results / "storage.sqlite").read_bytes() == original


def test_an_empty_folder_has_a_page_that_says_what_to_run(tmp_path: Path, ask, finished) -> None:
    results = tmp_path / "empty"
    board = Dashboard(results, options=Options(tensorboard=False))
    try:
        page = ask(board)
        assert (page.status, b"hpo run quickstart" in page.body) == (200, True)
        assert ask(board, "/dashboard").headers["location"] == "/"
        assert list(tmp_path.iterdir()) == []
        shutil.copytree(finished.results, results)  # a study that comes later is seen
        assert b"/hpo/study/tiny" in ask(board).body
        assert ask(board, "/dashboard").status == 200
    finally:
        board.close()


def test_a_damaged_record_is_said_and_hides_nothing_else(copied: StudyFolder, ask) -> None:
    copied.best_config.write_text("{")
    board = Dashboard(copied.path.parent, options=Options(tensorboard=False))
    try:
        page = ask(board).body.decode()
        assert "best_config.json: is damaged" in page
        assert "/hpo/study/tiny" in page
        assert ask(board, "/api/studies/1").status == 200
    finally:
        board.close()


def test_a_storage_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "storage.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(EnvironmentFault, match=r"storage\.sqlite: .*; hpo doctor --repair"):
        Dashboard(tmp_path)


def test_a_taken_port_is_said_and_nothing_stays_open(results: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = rf"^dashboard: port {port}: Address already in use; choose another with --port$"
        with pytest.raises(EnvironmentFault, match=message):
            Dashboard(results, options=Options(port=port))


@pytest.mark.parametrize("host", ["203.0.113.9", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_said(results: Path, host: str) -> None:
    options = Options(host=host, token="t" * 20, tensorboard=False)
    with pytest.raises(EnvironmentFault, match=rf"^--host: '{host}' is no address of this machine"):
        Dashboard(results, options=options)


def test_a_database_out_of_reach_is_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"^mysql://h/x: .*; check --storage$"):
        Dashboard(tmp_path, storage="mysql://u:secret@h/x")


def test_others_look_only_with_a_token(results: Path, ask) -> None:
    with pytest.raises(UsageError, match=r"'0\.0\.0\.0': others could look without a token; set"):
        Dashboard(results, options=Options(host="0.0.0.0"))
    board = Dashboard(results, options=Options(host="0.0.0.0", token="t" * 20, tensorboard=False))
    try:
        assert ask(board).status == 401
        assert ask(board, Authorization="Bearer " + "t" * 20).status == 200
        assert ask(board, Host="evil.example", Authorization="Bearer " + "t" * 20).status == 403
    finally:
        board.close()


def test_without_tensorboard_nothing_points_to_it(results: Path, ask) -> None:
    board = Dashboard(results, options=Options(tensorboard=False))
    try:
        assert b"/tb/" not in ask(board).body
        assert ask(board, "/tb/").status == 404
    finally:
        board.close()
    with pytest.raises(ConnectionRefusedError):
        ask(board)


def test_the_first_page_waits_for_no_library_that_it_does_not_need() -> None:
    heavy = ["torch", "pytorch_lightning", "tensorboard", "sklearn", "plotly", "optuna_dashboard"]
    program = f"import sys, hpo.dashboard; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("[]\n", 0)


def test_the_command_serves_until_ctrl_c(results: Path, ask) -> None:
    program = "import sys; from hpo.cli import main; main()"
    command = [sys.executable, "-c", program, "dashboard", str(results), "--port", "0"]
    pipe = subprocess.PIPE

    def heed() -> None:  # where the tests run in the background, Ctrl-C is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed) as served:
        try:
            assert served.stdout is not None
            line = served.stdout.readline()
            assert "/dashboard Optuna · /tb TensorBoard" in line
            address = type("Board", (), {"address": line.split()[0]})
            assert ask(address).status == 200
            served.send_signal(signal.SIGINT)
            _, err = served.communicate(timeout=120)
        finally:
            served.kill()
    assert (served.returncode, err) == (0, "Ctrl-C ends\n")

"""The verb that serves a model file over HTTP."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hpo.errors import UsageError
from hpo.extras import require
from hpo.terminal.answer import answer, say

_PACKAGES = (
    "fastapi",
    "httptools",
    "onnxruntime",
    "orjson",
    "prometheus-client",
    "uvicorn",
    "uvloop",
)


def serve(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx file of hpo export.")],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes on one port.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Of one call of the model.")] = 1,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds what who asks must know; or set HPO_TOKEN."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name of it, of a proxy; repeatable."),
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, metavar="BYTES", help="Of a request.")] = 10**7,
    max_rows: Annotated[int, typer.Option(min=1, metavar="N", help="Of a request.")] = 10_000,
    timeout: Annotated[float, typer.Option(min=0.01, metavar="S", help="Of a request.")] = 30.0,
    window_ms: Annotated[
        float, typer.Option(min=0, max=1000, help="A request waits so long for others.")
    ] = 0.0,
    max_waiting: Annotated[
        int, typer.Option(min=1, metavar="N", help="Requests that wait for the model.")
    ] = 512,
    access_log: Annotated[bool, typer.Option(help="Log each request.")] = True,
) -> None:
    """Serve a model file: predictions, a page, metrics; Ctrl-C ends."""
    require("serve", _PACKAGES, extra="serve")
    if model.suffix.lower() != ".onnx":
        hint = "hpo export BEST --format onnx writes one"
        raise UsageError(str(model), "only .onnx files are served", hint)

    from hpo.serve.options import Limits, Options, read_token
    from hpo.serve.processes import serve as run

    limits = Limits(
        body_bytes=max_body,
        rows=max_rows,
        timeout_s=timeout,
        window_ms=window_ms,
        queue=max_waiting,
    )
    options = Options(
        model=model,
        host=host,
        port=port,
        workers=workers,
        threads=threads,
        token=read_token(token_file, os.environ.get("HPO_TOKEN")),
        allow_hosts=tuple(allow_host or ()),
        limits=limits,
        access_log=access_log,
    )

    def tell(address: str) -> None:
        answer(f"{address}/")
        sys.stdout.flush()
        if options.token is not None:
            say("open it once as /?token=TOKEN; callers send Authorization: Bearer TOKEN")

    code = run(options, tell)
    if code:
        raise typer.Exit(code)

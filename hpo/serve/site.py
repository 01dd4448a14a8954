"""Everything but predictions: the page, health, metadata, metrics, and the OpenAPI description."""

from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from hpo.serve.describing import metadata
from hpo.serve.front import REASON, a_bug, wrong_method
from hpo.serve.guard import PAGE
from hpo.serve.openapi import STATES, predict_path, schemas
from hpo.serve.page import page_of
from hpo.serve.refusal import Refused
from hpo.serve.service import Service

_CSP = "content-security-policy"
_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def make_site(service: Service) -> FastAPI:
    """Return the application that answers whatever is no prediction."""
    site = FastAPI(
        title="hpo serve", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    for kind in (HTTPException, Refused, Exception):
        site.add_exception_handler(kind, _refuse)
    _add_states(site, service)
    _add_words(site, service)
    _add_page(site, service)
    return site


def _add_states(site: FastAPI, service: Service) -> None:
    @site.api_route("/health", methods=["GET", "HEAD"], include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @site.api_route("/ready", methods=["GET", "HEAD"], include_in_schema=False)
    async def ready() -> JSONResponse:
        if service.is_ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready"}, status_code=503)

    @site.get("/metrics", operation_id="metrics", summary="For Prometheus")
    async def metrics(request: Request) -> Response:
        if service.is_ready:
            service.current.watching.count()
        kind, text = service.exposition.text(request.headers.get("accept", ""))
        return Response(text, media_type=kind)


def _add_words(site: FastAPI, service: Service) -> None:
    @site.get("/metadata", operation_id="metadata", summary="What is served")
    async def told() -> dict[str, Any]:
        return metadata(service.current.model, service.limits)

    @site.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(description(site, service))


def _add_page(site: FastAPI, service: Service) -> None:
    @site.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        content = page_of(service.current.model, service.limits)
        return HTMLResponse(content, headers={_CSP: PAGE.decode()})

    for name in ("page.js", "page.css", "icon.svg"):
        content = files("hpo.serve").joinpath("files", name).read_bytes()
        site.add_api_route(f"/{name}", _file(name, content), include_in_schema=False)


def _file(name: str, content: bytes) -> Any:
    async def file() -> Response:
        return Response(content, media_type=_KINDS[name.rpartition(".")[2]])

    return file


def description(site: FastAPI, service: Service) -> dict[str, Any]:
    """Return the OpenAPI description of the model of now."""
    manifest = service.current.model.manifest
    found = {**site.openapi()}
    found["info"] = {
        "title": manifest.name,
        "version": service.current.model.sha256[:12],
        "description": f"Predictions of {manifest.name} ({manifest.kind}), served by hpo.",
    }
    found["paths"] = {"/predict": predict_path(manifest), **STATES, **found.get("paths", {})}
    known = found.get("components", {})
    found["components"] = {
        **known,
        "schemas": {**known.get("schemas", {}), **schemas(manifest)},
    }
    if service.options.token is not None:
        scheme = {"type": "http", "scheme": "bearer"}
        found["components"]["securitySchemes"] = {"token": scheme}
        found["security"] = [{"token": []}]
    return found


async def _refuse(request: Request, error: Exception) -> Response:
    """Turn what the framework says no to into the answer that all refusals have."""
    if isinstance(error, Refused):
        refused = error
    elif isinstance(error, HTTPException) and error.status_code == 405:
        refused = wrong_method(*(error.headers or {}).get("Allow", "GET").split(", "))
    elif isinstance(error, HTTPException):
        hint = "there are /predict, /metadata, /metrics, /openapi.json, /health, /ready and /"
        refused = Refused(404, "path", where="path", what="no such address", hint=hint)
    else:
        refused = a_bug()
    request.scope[REASON] = refused.reason
    headers = {name.decode(): value.decode() for name, value in refused.headers}
    return Response(refused.body(), refused.status, headers, "application/json")

"""Image, Compose file and Kubernetes manifests name what there is: routes, options, labels."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from hpo.cli import app
from hpo.serve.guard import OPEN

DEPLOY = Path(__file__).parents[2] / "deploy"
KINDS = {
    "Deployment": "apps/v1",
    "Service": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
}
MARK = {"app.kubernetes.io/name": "hpo-serve"}


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(DEPLOY / name)
    return found


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    files = [path.relative_to(DEPLOY) for path in DEPLOY.glob("kubernetes/*.yaml")]
    found = [read(str(file)) for file in files]
    return {one["kind"]: one for one in found}


@pytest.fixture(scope="module")
def pod(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    return spec


def options_of_serve() -> set[str]:
    group: Any = get_command(app)
    return {name for one in group.commands["serve"].params for name in one.opts}


def test_every_kind_has_the_version_of_today(manifests: dict[str, dict[str, Any]]) -> None:
    assert {kind: one["apiVersion"] for kind, one in manifests.items()} == KINDS


def test_all_of_them_are_about_the_same_pods(manifests: dict[str, dict[str, Any]]) -> None:
    deployment = manifests["Deployment"]
    assert deployment["spec"]["template"]["metadata"]["labels"] == MARK
    assert deployment["spec"]["selector"]["matchLabels"] == MARK
    assert manifests["Service"]["spec"]["selector"] == MARK
    assert manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == MARK
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        assert manifests[kind]["spec"]["selector"]["matchLabels"] == MARK
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"]  # or each rollout would undo the autoscaler


def test_probes_ask_what_is_answered_without_a_token(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    (port,) = container["ports"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[name]["httpGet"]
        assert asked["path"] in OPEN
        assert asked["port"] == port["name"] == "http"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert f"--port={port['containerPort']}" in container["args"]


def test_ports_are_named_alike(manifests: dict[str, dict[str, Any]]) -> None:
    (port,) = manifests["Service"]["spec"]["ports"]
    (ingress,) = manifests["NetworkPolicy"]["spec"]["ingress"]
    (watched,) = manifests["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert port["targetPort"] == ingress["ports"][0]["port"] == watched["port"] == "http"
    assert watched["path"] == "/metrics"


def test_a_container_has_no_rights(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}
    assert f"USER {pod['securityContext']['runAsUser']}" in (DEPLOY / "Dockerfile").read_text()


def test_the_token_comes_from_a_secret_and_stands_nowhere(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    (token,) = [one for one in container["env"] if one["name"] == "HPO_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"]["key"] == "token"
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    texts = "".join(path.read_text(encoding="utf-8") for path in files)
    assert not re.search(r"\b[0-9a-f]{32}\b", texts)


def test_the_options_are_those_of_hpo_serve(pod: dict[str, Any]) -> None:
    compose = read("docker-compose.yml")["services"]["model"]
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^CMD (\[.*\])$", image, re.M)
    given = [*pod["containers"][0]["args"], *compose["command"], *re.findall(r'"([^"]+)"', command)]
    options = {one.partition("=")[0] for one in given if one.startswith("--")}
    assert {"--host", "--port", "--allow-host", "--token-file"} <= options
    assert options <= options_of_serve()


def test_every_image_is_pinned() -> None:
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", image, re.M)
    assert re.findall(r"^FROM (\S+)", image, re.M) == ["${BASE}", "${BASE}", "serve"]
    prometheus = read("docker-compose.yml")["services"]["prometheus"]["image"]
    assert re.fullmatch(r"prom/prometheus:v[\d.]+@sha256:[0-9a-f]{64}", prometheus)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from|\$)(.+) \S+$", image, re.M)
    names = [name for line in copied for name in line.split()]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert len(names) > 5
    for name in names:
        assert (DEPLOY.parent / name).exists()
        assert f"!{name.partition('/')[0]}" in ignored


def test_prometheus_asks_the_service_of_the_compose_file_with_its_token() -> None:
    services = read("docker-compose.yml")["services"]
    (job,) = read("prometheus/prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["model:8000"]}]
    command = services["model"]["command"]
    assert command[command.index("--allow-host") + 1] == "model"
    assert services["model"]["secrets"] == services["prometheus"]["secrets"] == ["hpo_token"]
    assert job["authorization"]["credentials_file"] == "/run/secrets/hpo_token"
    assert job["job_name"] == "hpo"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_kustomize_puts_the_manifests_together(manifests: dict[str, dict[str, Any]]) -> None:
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    built = list(YAML(typ="safe", pure=True).load_all(done.stdout))
    assert {one["kind"] for one in built} == KINDS.keys() - {"Kustomization", "PodMonitor"}
    (deployment,) = [one for one in built if one["kind"] == "Deployment"]
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example/flowers:1"

"""Dockerfile, compose and Kubernetes: judged by their linters and schemas, and held to what the server really has.

No container is built or run here. What the image does is what tests/deploy/test_packaging.py does without one.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import yaml

from tests.test_service import ROOT, serving
from tests.tts_server.test_instances import NGINX, needs_nginx
from tts_server import server
from tts_server.config import Settings
from tts_server.config_sources import load
from tts_server.encoding import FORMATS, available
from tts_server.http.app import _ADMIN_ROUTES, _ROUTES
from tts_server.pool import shared_memory_bytes

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
AFTER_DRAIN_S = server._CLOSE_S + server._STOP_S
WORKERS = 8
"""As many as the shared memory of every example must do for, at least."""


def _yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


COMPOSE = _yaml(DEPLOY / "compose.yml")


def _tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


# --- the image -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(_tool("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing_wrong() -> None:
    told = subprocess.run(
        [str(_tool("hadolint")), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "")


def copied() -> list[str]:
    """What the image is made of."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()]


def test_all_that_is_installed_is_copied_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = project["tool"]["setuptools"]["package-dir"]
    packages = {folders.get(name, name.partition(".")[0]) for name in project["tool"]["setuptools"]["packages"]}
    files = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert set(copied()) == packages | files
    assert set(kept) == set(copied())
    assert all((ROOT / source).exists() for source in copied())
    assert any(fnmatch.fnmatch("tests", line) for line in ignored), "what is not named is left out"


def test_the_image_is_nobodys_and_its_settings_are_settings() -> None:
    variables = dict(re.findall(r"^ +(TTS_\w+)=(\S+)", DOCKERFILE, re.MULTILINE))
    effective = load(variables, {})
    assert effective.strange == ()
    assert effective.settings.admin_port == 8009
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    for folder in re.findall(r'"(/[^"]+)"', re.search(r"^VOLUME (.+)$", DOCKERFILE, re.MULTILINE)[1]):  # type: ignore[index]
        assert folder in {str(effective.settings.state_dir), str(effective.settings.cache_dir)}


def test_the_health_check_tells_a_server_that_speaks_from_none(voices_dir: Path, tmp_path: Path) -> None:
    command = json.loads(re.search(r"CMD (\[\"python\".+\])$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]

    def healthy(port: int) -> bool:
        asked = [sys.executable, *(part.replace("8009", str(port)) for part in command[1:])]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    with serving(voices_dir, tmp_path) as running:
        port = int(running.url.rpartition(":")[2])  # without admin_port, probes are at the other
        assert healthy(port)
    assert not healthy(port)


def _bubblewrap() -> str | None:
    """The program, where it may make namespaces: not in every container."""
    found = shutil.which("bwrap")
    tried = [str(found), "--ro-bind", "/", "/", "--unshare-user", "--uid", "10001", "true"]
    return found if found and subprocess.run(tried, capture_output=True, check=False).returncode == 0 else None


@pytest.mark.skipif(_bubblewrap() is None, reason="bubblewrap is not installed, or may not make namespaces")
async def test_it_speaks_as_a_container_has_it_on_a_read_only_root_without_any_right(
    voices_dir: Path, tmp_path: Path
) -> None:
    state, temporary = tmp_path / "state", tmp_path / "tmp"
    state.mkdir(mode=0o700)
    temporary.mkdir()
    confined = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--bind", "/dev/shm", "/dev/shm", "--proc", "/proc"]  # noqa: S108
    confined += [
        "--bind",
        str(state),
        str(state),
        "--bind",
        str(temporary),
        str(temporary),
        "--setenv",
        "TMPDIR",
        str(temporary),
    ]
    confined += ["--unshare-user", "--uid", "10001", "--gid", "10001", "--unshare-ipc", "--cap-drop", "ALL"]
    confined += ["--die-with-parent", "--setenv", "PYTHONDONTWRITEBYTECODE", "1"]
    with serving(voices_dir, state, before=confined) as running:
        async with aiohttp.ClientSession(running.url) as session:
            for audio_format in FORMATS:
                if available(audio_format):
                    continue
                async with session.post("/api/tts", json={"text": "你好。", "format": audio_format}) as answer:
                    assert answer.status == 200, await answer.text()
            async with session.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
                assert answer.status == 202, await answer.text()
        (inside,) = psutil.Process(running.process.pid).children()
        inside.terminate()
        assert running.process.wait() == 0


# --- compose ---------------------------------------------------------------------------------------------------------


def test_compose_is_as_its_specification_says() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    told = subprocess.run([*command, str(DEPLOY / "compose.yml")], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_what_compose_mounts_and_names_is_there() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "strangers are let in: it must be this machine's alone"
    (target,) = _yaml(DEPLOY / "prometheus/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target.partition(":")[0] in services
    assert target.partition(":")[2] in services["tts"]["expose"]
    source = _yaml(DEPLOY / "grafana/provisioning/datasources/prometheus.yml")["datasources"][0]["url"]
    assert re.fullmatch(r"http://(\w+):9090", source)[1] in services  # type: ignore[index]
    dashboards = _yaml(DEPLOY / "grafana/provisioning/dashboards/tts-server.yml")["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{dashboards}:ro" in services["grafana"]["volumes"]


def test_the_settings_of_compose_are_settings() -> None:
    tts = COMPOSE["services"]["tts"]
    effective = load(tts["environment"], {})
    assert effective.strange == ()
    subnet = COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"]
    assert effective.settings.trusted_proxies == (subnet,)
    assert float(tts["stop_grace_period"].removesuffix("s")) > effective.settings.drain_s + AFTER_DRAIN_S
    assert int(tts["shm_size"].removesuffix("m")) << 20 > shared_memory_bytes(WORKERS)


@needs_nginx
def test_nginx_takes_what_compose_makes_of_its_configuration(tmp_path: Path) -> None:
    command = COMPOSE["services"]["nginx"]["command"][2]
    made = tmp_path / "default.conf"
    command = command.replace("/etc/nginx/tts.conf", str(DEPLOY / "nginx.conf"))
    command = command.replace("/etc/nginx/conf.d/default.conf", str(made)).partition(" && ")[0]
    subprocess.run(["sh", "-c", command], check=True)
    text = made.read_text(encoding="utf-8")
    assert text.count("server tts:8000") == 2, "one in each upstream"
    assert "listen 8080;" in text
    assert not re.search(r"127\.0\.0\.1:80\d\d", re.sub(r"#.*", "", text))
    made.write_text(text.replace("tts:8000", "127.0.0.1:9"), encoding="utf-8")  # nobody is called tts here
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {made}; }}")
    told = subprocess.run(
        [str(NGINX), "-t", "-p", str(tmp_path), "-c", str(whole)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr


# --- Kubernetes ------------------------------------------------------------------------------------------------------


def resources() -> Iterator[dict[str, Any]]:
    """What is applied: as kustomize makes it where there is kubectl, else as it stands in the files."""
    if kubectl := shutil.which("kubectl"):
        told = subprocess.run([kubectl, "kustomize", str(KUBERNETES)], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        yield from yaml.safe_load_all(told.stdout)
    else:
        for name in _yaml(KUBERNETES / "kustomization.yaml")["resources"]:
            yield from yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8"))
    yield _yaml(KUBERNETES / "hpa.yaml")


def resource(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in resources() if (one["kind"], one["metadata"]["name"]) == (kind, name))


def test_every_resource_is_as_kubernetes_says() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    for one in resources():
        validate.validate(one, validate.latest_version(), strict=True)


def test_probes_ask_for_what_there_is() -> None:
    (container,) = resource("StatefulSet", "tts")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8000, "admin": 8009}
    assert {f"EXPOSE {ports['http']} {ports['admin']}"} <= set(DOCKERFILE.splitlines())
    known = {route.path for route in (*_ROUTES, *_ADMIN_ROUTES) if hasattr(route, "path")}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in known
        assert container[probe]["httpGet"]["port"] == "admin", "the public port wants keys for most"
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > Settings().start_timeout_s


def test_a_pod_has_time_to_drain_and_room_to_speak() -> None:
    pod = resource("StatefulSet", "tts")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    waits_s = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > waits_s + Settings().drain_s + AFTER_DRAIN_S
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    shm = volumes[mounts["/dev/shm"]]["emptyDir"]  # noqa: S108  (a pod's, not ours)
    assert shm["medium"] == "Memory"
    assert int(shm["sizeLimit"].removesuffix("Mi")) << 20 > shared_memory_bytes(WORKERS)
    claims = {claim["metadata"]["name"] for claim in resource("StatefulSet", "tts")["spec"]["volumeClaimTemplates"]}
    assert mounts["/var/lib/tts-server"] in claims, "jobs are accepted for good"
    assert container["resources"]["requests"] == container["resources"]["limits"], "workers are pinned to whole cores"


def test_the_pods_settings_are_settings() -> None:
    (container,) = resource("StatefulSet", "tts")["spec"]["template"]["spec"]["containers"]
    effective = load({variable["name"]: variable["value"] for variable in container["env"]}, {})
    assert effective.strange == ()
    assert effective.settings.redis_url == f"redis://{resource('Service', 'tts-redis')['metadata']['name']}:6379/0"


@pytest.mark.parametrize("kind", ["PodDisruptionBudget", "NetworkPolicy", "Service"])
def test_what_is_meant_for_the_pods_finds_them(kind: str) -> None:
    labels = resource("StatefulSet", "tts")["spec"]["template"]["metadata"]["labels"]
    spec = resource(kind, "tts")["spec"]
    selector = spec.get("selector", spec.get("podSelector"))
    selector = selector.get("matchLabels", selector)
    assert selector.items() <= labels.items()


def test_replicas_follow_the_wait_and_not_the_cpu() -> None:
    scaled, hpa = _yaml(KUBERNETES / "keda.yaml")["spec"], _yaml(KUBERNETES / "hpa.yaml")["spec"]
    (trigger,), (metric,) = scaled["triggers"], hpa["metrics"]
    recorded = {rule["record"] for group in _yaml(DEPLOY / "prometheus/rules.yml")["groups"] for rule in group["rules"]}
    assert re.search(r"[\w:]+", trigger["metadata"]["query"].lstrip("("))[0] in recorded  # type: ignore[index]
    assert trigger["metadata"]["query"] in (KUBERNETES / "hpa.yaml").read_text(encoding="utf-8").replace(
        "<<.Series>>", "job:tts_queue_seconds:mean_rate1m"
    )
    assert metric["type"] == "External"
    assert float(metric["external"]["target"]["value"].removesuffix("m")) / 1000 == float(
        trigger["metadata"]["threshold"]
    )
    for target in (scaled["scaleTargetRef"], hpa["scaleTargetRef"]):
        assert (target["kind"], target["name"]) == ("StatefulSet", "tts")
    assert scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == hpa["behavior"]

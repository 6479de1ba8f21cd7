"""The recipes for hosts are whole: what their files name exists, and versions and variables are ours."""

import fnmatch
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from echo_core.settings import Limits, Settings
from echo_core.workers.cluster import DASK_CONFIG
from tests.helpers.composed import image_command, read_compose

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VARIABLES = {str(field.validation_alias or f"ECHO_{name.upper()}")
             for model in (Limits, Settings) for name, field in model.model_fields.items()}
COMPOSE = read_compose(POSTGRES_PASSWORD="secret")
SERVICES = COMPOSE["services"]


def instructions(kind: str) -> list[str]:
    return re.findall(rf"^{kind} (.+)$", DOCKERFILE, re.MULTILINE)


# --- the image -------------------------------------------------------------------------------------


def test_the_image_is_built_from_any_base_and_by_default_from_a_python_that_the_project_names():
    minor = int(re.fullmatch(r"BASE=docker\.io/library/python:3\.(\d+)-slim", instructions("ARG")[0])[1])
    first, beyond = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["project"]["requires-python"]).groups())
    assert first <= minor < beyond
    assert instructions("FROM") == ["${BASE}"]


def test_the_image_gets_each_file_that_it_is_built_of_and_no_other():
    kept = {line[1:] for line in IGNORED if line.startswith("!")}
    assert IGNORED[1] == "*"
    assert [name for name in kept if not (ROOT / name).exists()] == []
    packages = {name.split(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]} - {"echo_lab"}
    named = {word for line in instructions("COPY") for word in line.split()[:-1] if word != "."}
    assert packages | named | {"pyproject.toml", "streamlit_app.py", ".streamlit/config.toml"} <= kept
    private = (".env", ".echo", ".git", "tests")
    assert [name for name in private if any(fnmatch.fnmatch(name, each) for each in kept)] == []


def test_the_image_installs_the_pinned_versions_runs_as_user_1000_and_starts_a_command_of_the_project():
    assert "-r /tmp/echo-lab/requirements.txt -c /tmp/echo-lab/constraints.txt" in DOCKERFILE
    assert instructions("USER") == ["1000:1000"]
    [program] = re.findall(r"exec ([\w-]+)", image_command()[-1])
    assert program in PROJECT["project"]["scripts"]


def test_the_images_variables_are_settings_of_a_host():
    named = {name for line in instructions("ENV") for name in re.findall(r"\b([A-Z_]+)=", line)}
    assert {name for name in named if name.startswith("ECHO_")} <= VARIABLES
    assert "PORT" in named


def test_the_images_health_check_is_a_program_that_python_reads():
    [check] = instructions("HEALTHCHECK")
    program, option, code = json.loads(check[check.index("CMD ") + 4:])
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")


# --- compose.yaml ----------------------------------------------------------------------------------


def test_only_the_apps_port_is_published():
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "app": ["8501:8501"]}


def test_without_a_password_nothing_starts_and_none_is_in_the_file():
    with pytest.raises(KeyError, match="POSTGRES_PASSWORD: set it in the file"):
        read_compose()
    assert "secret" in SERVICES["app"]["environment"]["DATABASE_URL"]


def test_every_command_of_a_service_exists_and_what_it_depends_on_can_tell_that_it_is_ready():
    here = Path(sys.executable).parent
    for name, service in SERVICES.items():
        for command in filter(None, (service.get("command"), service.get("healthcheck", {}).get("test", [None])[1:])):
            if name != "database":
                assert shutil.which(command[0], path=f"{here}:/usr/bin:/bin")
        for other, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy" and other != "app":
                assert SERVICES[other]["healthcheck"]["test"]


def test_the_apps_own_image_is_in_every_service_but_the_database_with_nothing_to_write_to_but_its_volumes():
    assert {name for name, service in SERVICES.items() if service["image"] == "echo-lab"} == {*SERVICES} - {"database"}
    for service in (service for name, service in SERVICES.items() if name != "database"):
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert mounted == COMPOSE["volumes"].keys()


def test_the_cluster_has_the_settings_of_an_apps_own_workers_and_speaks_only_to_who_has_the_key():
    written = yaml.safe_load((ROOT / "deploy" / "dask.yaml").read_text())
    assert {name for name, service in SERVICES.items() if "dask.yaml" in str(service)} == {"app", "scheduler", "worker"}

    def value(name: str) -> object:
        found = written
        for part in name.split("."):
            found = found[part]
        return found

    local_only = "distributed.deploy.lost-worker-timeout"  # of a cluster that starts its own workers
    assert {name: value(name) for name in DASK_CONFIG if name != local_only} == {
        name: wanted for name, wanted in DASK_CONFIG.items() if name != local_only}
    assert value("distributed.comm.require-encryption") is True
    assert set(value("distributed.worker.memory").values()) == {False}
    for peer in ("client", "scheduler", "worker"):
        assert value(f"distributed.comm.tls.{peer}") == {"cert": "/keys/cert.pem", "key": "/keys/key.pem"}


# --- a machine of one's own, Kubernetes, Spaces ----------------------------------------------------


def test_the_unit_starts_a_module_of_the_project_with_settings_of_a_host():
    unit = (ROOT / "deploy" / "echo-lab.service").read_text()
    [module] = re.findall(r"^ExecStart=\S+ -m (\w+) ", unit, re.MULTILINE)
    assert (ROOT / module / "__main__.py").is_file()
    assert set(re.findall(r"\b(ECHO_\w+|DATABASE_URL)=", unit)) <= VARIABLES
    assert "ProtectSystem=strict" in unit


def test_the_proxy_passes_on_the_path_and_the_port_of_the_unit():
    unit, proxy = ((ROOT / "deploy" / name).read_text() for name in ("echo-lab.service", "Caddyfile"))
    assert re.search(r"--server\.baseUrlPath=(\S+)", unit)[1] in re.findall(r"handle /(\w+)\*", proxy)
    assert re.search(r"--server\.port=(\S+)", unit)[1] in re.findall(r"reverse_proxy 127\.0\.0\.1:(\d+)", proxy)


def test_kubernetes_starts_the_image_as_its_user_with_its_port_and_folder():
    deployment, service, claim = yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports["http"] == re.search(r"\bPORT=(\d+)", DOCKERFILE)[1]
    assert f"{pod['spec']['securityContext']['runAsUser']}:1000" == instructions("USER")[0]
    assert {each["name"] for each in container["env"]} <= {*VARIABLES, "FORWARDED_ALLOW_IPS"}
    assert container["env"][0]["value"].endswith(f":{ports['health']}")
    assert container["volumeMounts"][0] == {"name": "data", "mountPath": re.search(r"HOME=(\S+)", DOCKERFILE)[1]}
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] in ports


def test_spaces_finds_the_port_of_the_image():
    _, head, _ = (ROOT / "deploy" / "huggingface-README.md").read_text().split("---\n", 2)
    front = yaml.safe_load(head)
    assert (front["sdk"], str(front["app_port"])) == ("docker", re.search(r"\bPORT=(\d+)", DOCKERFILE)[1])
    assert len(front["short_description"]) <= 60

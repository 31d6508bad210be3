"""The base job template of a Kubernetes work pool: what Prefect's worker fills in, GPUs and secrets."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
import yaml
from prefect.utilities.templating import apply_values

from support.documents import ROOT

OURS = json.loads((ROOT / "deployments/kubernetes-base-job-template.json").read_text())
METADATA = "server/api/collections_data/views/aggregate-worker-metadata.json"
COMMAND = "prefect flow-run execute"


def prefects_own() -> dict[str, Any]:
    metadata = json.loads((files("prefect") / METADATA).read_text())
    return metadata["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]


def pod_of(deployment: str) -> dict[str, Any]:
    """The pod in which a deployment of ``prefect.yaml`` runs, as a worker fills in the template."""
    described = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]
    (variables,) = (entry["work_pool"]["job_variables"] for entry in described if entry["name"] == deployment)
    defaults = {
        name: variable["default"]
        for name, variable in OURS["variables"]["properties"].items()
        if "default" in variable
    }
    values = defaults | variables | {"name": deployment, "command": COMMAND}
    job = apply_values(OURS["job_configuration"], values)
    return job["job_manifest"]["spec"]["template"]["spec"]


def assert_holds(ours: Any, theirs: Any, place: str) -> None:
    """Everything of theirs stands in ours, at the same place."""
    if isinstance(theirs, dict):
        for name, value in theirs.items():
            assert name in ours, f"{place}.{name}"
            assert_holds(ours[name], value, f"{place}.{name}")
    elif isinstance(theirs, list):
        for number, value in enumerate(theirs):
            assert_holds(ours[number], value, f"{place}[{number}]")
    else:
        assert ours == theirs, place


def test_nothing_of_prefects_own_template_is_missing() -> None:
    theirs = prefects_own()
    assert_holds(OURS["job_configuration"], theirs["job_configuration"], "job_configuration")
    for name, variable in theirs["variables"]["properties"].items():
        assert OURS["variables"]["properties"][name].get("type") == variable.get("type"), name


def test_every_variable_is_used_and_every_placeholder_is_a_variable() -> None:
    text = json.dumps(OURS["job_configuration"])
    for name in OURS["variables"]["properties"]:
        assert f"{{{{ {name} }}}}" in text
    assert text.count("{{") == sum(
        text.count(f"{{{{ {name} }}}}") for name in OURS["variables"]["properties"]
    )


@pytest.mark.parametrize(
    ("deployment", "gpus"),
    [("score-hourly", 1), ("archive", 1), ("retrain-weekly", 1), ("ingest-hourly", 0), ("monitor-daily", 0)],
)
def test_models_have_a_gpu_and_the_other_flows_none(deployment: str, gpus: int) -> None:
    (container,) = pod_of(deployment)["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": gpus}
    assert container["name"] == "prefect-job"
    assert container["args"] == COMMAND
    assert container["env"]["RUNS_END_WITH_PARENT"] in COMMAND


def test_secrets_come_from_the_cluster_and_the_data_folder_is_writable() -> None:
    pod = pod_of("score-hourly")
    (container,) = pod["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "stence"}}]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"/var/lib/stence", "/dev/shm", "/run/secrets/stence"}  # noqa: S108
    assert {mount["name"] for mount in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    assert pod["securityContext"]["runAsUser"] == 10001
    assert "useradd --create-home --uid 10001" in (ROOT / "deployments/Dockerfile").read_text()


def test_secrets_may_be_mounted_as_files() -> None:
    (secret,) = (volume["secret"] for volume in pod_of("score-hourly")["volumes"] if "secret" in volume)
    assert secret == {"secretName": "stence-files", "optional": True}

"""deploy/kubernetes without a cluster: built-in kinds by kubernetes-validate, MPIJobs by a schema of ours, both with the
programs' own flags looked up; kubectl builds the kustomization where it is there."""

import copy
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"])
BIN = pathlib.Path(os.environ["MDGEN_BIN_DIR"])
FOLDER = SOURCE / "deploy/kubernetes"
FILES = sorted(file.name for file in FOLDER.glob("*.yaml") if file.name != "kustomization.yaml")
VERSION = "1.29"

TOOLS = pathlib.Path(sys.executable).parents[2] / "deploy-tests"
pytestmark = pytest.mark.skipif(not TOOLS.exists(), reason="kubernetes-validate is not installed (deploy/bootstrap --tests)")


def in_tools(program, *words):
    """Runs Python of the environment that has kubernetes-validate, jsonschema and PyYAML."""
    run = subprocess.run([TOOLS / "bin/python", "-c", program, *map(str, words)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def documents(file):
    return in_tools("import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))", file)


def problems_of(document, version=VERSION):
    """What kubernetes-validate says of a built-in kind; strict: unknown fields too."""
    return in_tools(
        "import json, sys, kubernetes_validate as k\n"
        "try:\n"
        "  k.validate(json.loads(sys.argv[1]), sys.argv[2], strict=True); print('[]')\n"
        "except k.ValidationError as e: print(json.dumps([str(e)]))", json.dumps(document), version)


def mpijob_problems(document):
    return in_tools(
        "import json, sys, jsonschema\n"
        "v = jsonschema.Draft202012Validator(json.load(open(sys.argv[2])))\n"
        "print(json.dumps([e.json_path + ': ' + e.message for e in v.iter_errors(json.loads(sys.argv[1]))]))",
        json.dumps(document), pathlib.Path(__file__).parent / "mpijob.schema.json")


def pods():
    for name in FILES:
        for document in documents(FOLDER / name):
            spec = document.get("spec", {})
            if "template" in spec:
                yield f"{name}: {document['kind']}", spec["template"]["spec"]
            for role, replica in spec.get("mpiReplicaSpecs", {}).items():
                yield f"{name}: {role}", replica["template"]["spec"]


@pytest.mark.parametrize("name", FILES)
def test_manifests_are_valid(name):
    for document in documents(FOLDER / name):
        if document["kind"] == "MPIJob":
            assert mpijob_problems(document) == []
            for replica in document["spec"]["mpiReplicaSpecs"].values():
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": replica["template"]["spec"]}
                assert problems_of(pod) == []
        else:
            assert problems_of(document) == []


def test_the_validators_see_mistakes():
    service, mpijob = documents(FOLDER / "service.yaml")[0], documents(FOLDER / "mpijob.yaml")[0]
    wrong = copy.deepcopy(service)
    wrong["spec"]["prots"] = wrong["spec"].pop("ports")
    assert problems_of(wrong)
    for change in ({"runPolicy": {"backoffLimit": "six"}}, {"mpiReplicaSpecs": {}}, {"workers": 3}):
        wrong = copy.deepcopy(mpijob)
        wrong["spec"].update(change)
        assert mpijob_problems(wrong)


def test_pods_are_restricted():
    found = dict(pods())
    assert len(found) == 5
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}, name
            if "mpijob" not in name:
                assert context["readOnlyRootFilesystem"] is True, name


def test_there_is_one_coordinator_at_a_time():
    deployment = documents(FOLDER / "coordinator.yaml")[0]["spec"]
    assert deployment["replicas"] == 1 and deployment["strategy"] == {"type": "Recreate"}


def test_a_pod_outlives_its_workers_drain():
    for name, pod in pods():
        for argument in pod["containers"][0].get("args", []):
            if argument.startswith("--drain_timeout="):
                assert pod["terminationGracePeriodSeconds"] > int(argument.split("=")[1]), name


@pytest.mark.parametrize("name,pod", [pytest.param(name, pod, id=name) for name, pod in pods()] if TOOLS.exists() else [])
def test_the_programs_know_the_flags(name, pod):
    for container in pod["containers"]:
        program = container["command"][0]
        if not program.startswith("mdgen-"):
            continue
        known = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, check=True).stdout
        for argument in container["args"]:
            assert argument.split("=")[0] in known, f"{program} {argument}"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_kustomization_builds():
    run = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\nkind: ") + run.stdout.startswith("kind: ") == 11
    assert "image: mdgen:0.1.0" in run.stdout

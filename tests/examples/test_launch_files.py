"""`examples/slurm.sh` and `examples/kubernetes.yaml`: whole files, with options that there are."""

import importlib
import pathlib
import re
import shlex
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SLURM, KUBERNETES = ROOT / "examples" / "slurm.sh", ROOT / "examples" / "kubernetes.yaml"


@pytest.fixture
def parse(monkeypatch):
    """Reads the command of a training: the options, with `variables` put in."""
    monkeypatch.syspath_prepend(ROOT / "recipes")
    train_voc = importlib.import_module("train_voc")

    def options(command, variables):
        for name, value in variables.items():
            command = re.sub(rf"\$\{{?{name}\b\}}?", value, command)
        assert "$" not in command
        python, recipe, *arguments = shlex.split(command.replace("\\\n", " "))
        assert python == ".venv/bin/python" and (ROOT / recipe).exists()
        return train_voc.parse_arguments(arguments)

    return options


def test_slurm(parse):
    subprocess.run(["bash", "-n", SLURM], check=True)
    text = SLURM.read_text()
    (command,) = re.findall(r"exec (.+?)'", text, re.DOTALL)
    job = {"SLURM_JOB_ID": "7", "SLURM_NNODES": "4", "SLURM_PROCID": "3", "coordinator": "n1:10007"}
    options = parse(command, job)
    assert (options.coordinator, options.num_hosts, options.host_id) == ("n1:10007", 4, 3)
    assert options.resume and options.batch_size % 4 == 0
    assert "#SBATCH --ntasks-per-node=1\n" in text and "KERAS_BACKEND=jax" in text


def test_the_port_of_slurm_is_one():
    # As bash does the sum, without Slurm: a list of nodes, and the largest number of a job.
    script = SLURM.read_text().replace("exec .venv/bin/python", "echo")
    stubs = 'scontrol() { echo node-1; echo node-2; }\nsrun() { echo "$coordinator"; }\n'
    environment = {"PATH": "/usr/bin:/bin", "SLURM_JOB_ID": "67108863", "SLURM_JOB_NODELIST": "n"}
    done = subprocess.run(
        ["bash", "-c", stubs + script], env=environment, capture_output=True, text=True, check=True
    )
    host, port = done.stdout.strip().split(":")
    assert host == "node-1" and 1024 <= int(port) < 65536


def test_kubernetes(parse):
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all(KUBERNETES.read_text())
    pods = job["spec"]["template"]["spec"]
    assert job["spec"]["completionMode"] == "Indexed"
    (container,) = pods["containers"]
    assert {"name": "KERAS_BACKEND", "value": "jax"} in container["env"]
    *_, script = container["command"]
    options = parse(script.removeprefix("exec "), {"JOB_COMPLETION_INDEX": "2"})
    assert options.num_hosts == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert options.host_id == 2 and options.resume
    # The name that host 0 has by the service without an address of its own.
    assert service["spec"]["clusterIP"] == "None"
    assert pods["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    pod = f"{job['metadata']['name']}-0"
    assert options.coordinator.split(":")[0] == f"{pod}.{pods['subdomain']}"
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pods["volumes"]}

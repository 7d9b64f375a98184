"""What we install and ship: names of our own, pins without addresses, data files, an import contract."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import tomllib
from importlib import metadata

import pytest
import yaml
from grimp import ImportGraph, build_graph
from importlinter.contracts.layers import LayersContract

from tests.given.folders import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-build.txt",
    "requirements-docs.txt",
    "requirements-release.txt",
]
OURS = {"service", "projections", "schema"}
RULES = PROJECT["tool"]["importlinter"]["contracts"]


def test_no_other_distribution_owns_one_of_our_import_names():
    owners = metadata.packages_distributions()

    assert {name: set(owners.get(name, [])) - {"recount-feedback"} for name in OURS} == {
        name: set() for name in OURS
    }


def test_it_cannot_be_uploaded_by_accident():
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_with_hashes_and_no_address(lock):
    text = (ROOT / lock).read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text.partition("make lock\n")[2])

    assert len(blocks) >= 6
    for block in blocks:
        assert re.match(r"[a-z0-9-]+==[\w.]+( ;[^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", block), block
    assert re.findall(r"://|--\w*index|--find-links|file:| @ ", text) == []


@pytest.mark.parametrize("lock", LOCKS[:2])
def test_the_pins_are_those_that_the_project_asks_for(lock):
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
    asked = {re.split(r"[^a-z0-9-]", line)[0] for line in PROJECT["project"]["dependencies"]}

    assert asked <= pinned


def test_the_same_versions_run_and_are_tested():
    versions = [
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in LOCKS[:3]
    ]

    run, tested, built = versions
    assert {name: tested.get(name) for name in run} == run
    assert {name: tested.get(name) for name in built} == built


def test_the_command_is_installed():
    (command,) = metadata.entry_points(group="console_scripts", name="recount")

    assert command.value == "service.cli:main"


@pytest.fixture(scope="module")
def imports() -> ImportGraph:
    return build_graph(*OURS, cache_dir=None)


def contracts() -> list[LayersContract]:
    session = {"root_packages": sorted(OURS)}
    # As import-linter reads it: a boolean of TOML as text.
    given = [{name: str(value) if value is True else value for name, value in rule.items()} for rule in RULES]
    return [LayersContract(rule["name"], session, rule) for rule in given]


@pytest.mark.parametrize(
    ("importer", "imported", "kept"),
    [
        ("schema.objects.query", "service.events", True),
        ("schema.objects.query", "service.operate.erasure", False),
        ("service.intake.webhook", "schema.objects.query", False),
        ("service.intake.webhook", "projections.read_model", False),
        ("service.app", "schema.objects.query", True),
        ("service.operate.gauges", "projections.read_model", True),
        ("service.events", "service.intake.webhook", False),
    ],
)
def test_the_import_contract_catches_what_points_the_wrong_way(imports, importer, imported, kept):
    graph = copy.deepcopy(imports)
    graph.add_import(importer=importer, imported=imported)

    assert all(contract.check(graph, verbose=False).kept for contract in contracts()) is kept


def test_every_module_stands_on_a_layer(imports):
    layers = {layer for line in RULES[0]["layers"] for layer in re.split(r" [|:] ", line)}
    above = {module for module in imports.modules if any(layer.startswith(f"{module}.") for layer in layers)}
    placed = {
        module
        for module in imports.modules
        if any(module == layer or module.startswith(f"{layer}.") for layer in layers)
    }

    assert imports.modules - placed - above == set()
    assert {module: imports.find_modules_directly_imported_by(module) for module in above} == {
        module: set() for module in above
    }


def test_compose_demands_secrets_and_waits_for_a_healthy_database():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    recount, postgres = services["recount"], services["postgres"]

    for name in ("RECOUNT_WEBHOOK_KEYS", "RECOUNT_API_TOKENS"):
        assert recount["environment"][name].startswith(f"${{{name}:?")
    assert postgres["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert recount["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert recount["read_only"] is True
    assert recount["tmpfs"]
    assert int(recount["user"].partition(":")[0]) > 0
    assert postgres["healthcheck"]["test"][1] == "pg_isready"
    assert postgres["image"] == "postgres:18"


def test_the_image_copies_only_files_that_it_is_given():
    given = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    copied = {name for line in copies for name in line.split()}

    assert copied == given
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_make_says_what_python_it_needs(tmp_path):
    old = tmp_path / "python2"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    made = subprocess.run(
        ["make", "install", f"PYTHON={old}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode != 0
    assert f"PYTHON={old} is not a Python 3.11 or later" in made.stderr


@pytest.mark.parametrize("install", [["make", "install"], ["sh", ".ci/install", "run"]])
def test_make_installs_nothing_when_all_is_installed(install):
    if not (ROOT / ".venv" / ".built-from").exists():
        pytest.skip("this run does not come from make")
    before = (ROOT / ".venv" / ".built-from").stat().st_mtime_ns

    subprocess.run(install, cwd=ROOT, check=True, capture_output=True)

    assert (ROOT / ".venv" / ".built-from").stat().st_mtime_ns == before

"""What deploy/ has for systemd and Kubernetes is what these take, and as closed as it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.config import Settings, variable
from tests.given.folders import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
UNIT = ROOT / "deploy" / "systemd" / "recount@.service"
SOCKET = UNIT.with_suffix(".socket")
EXPOSURE_MAX = 15
"""In tenths, as `systemd-analyze --threshold` takes it; below 20 is what it calls OK."""

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def _objects() -> list[dict[str, Any]]:
    return [
        each
        for file in ("namespace", "recount")
        for each in yaml.safe_load_all((KUBERNETES / f"{file}.yaml").read_text())
    ]


@needs_systemd
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    text = UNIT.read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)
    assert program
    unit, port = tmp_path / "recount@8081.service", tmp_path / "recount@8081.socket"
    unit.write_text(text.replace(program[1], "/bin/true"))
    shutil.copy(SOCKET, port)

    verified = subprocess.run(["systemd-analyze", "verify", unit, port], capture_output=True, text=True)

    assert (verified.returncode, verified.stderr) == (0, "")


def test_systemd_never_gives_the_unit_up() -> None:
    """By default the fifth end within ten seconds is the last; a start that is refused takes one or two."""
    assert re.search(r"^Restart=always$", UNIT.read_text(), re.MULTILINE)
    assert re.search(r"^StartLimitIntervalSec=0$", UNIT.read_text(), re.MULTILINE)


@needs_systemd
def test_the_unit_leaves_little_open() -> None:
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", UNIT],
        capture_output=True,
        text=True,
    )
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("each", _objects(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_kubernetes_takes_the_manifest(each: dict[str, Any]) -> None:
    kubernetes_validate.validate(each, "1.33", strict=True)


def test_the_kustomization_names_every_file() -> None:
    told = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    files = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(told["resources"]) == files
    (container,) = next(each for each in _objects() if each["kind"] == "StatefulSet")["spec"]["template"][
        "spec"
    ]["containers"]
    assert [image["name"] for image in told["images"]] == [container["image"]]
    # By fsGroup the root of a volume is open to its group, which doctor tells as a problem.
    (mount,) = (each["mountPath"] for each in container["volumeMounts"] if each["name"] == "spool")
    (literals,) = (each["literals"] for each in told["configMapGenerator"])
    assert any(each.startswith(f"RECOUNT_DATA_DIR={mount}/") for each in literals)
    generated = {each["name"] for each in (*told["secretGenerator"], *told["configMapGenerator"])}
    assert generated == {"recount"}


def test_every_setting_that_they_name_is_one() -> None:
    settings = {variable(name) for name in Settings.model_fields}
    for file in sorted((ROOT / "deploy").rglob("*")):
        if file.is_file():
            for named in re.findall(r"RECOUNT_[A-Z_]+", file.read_text()):
                assert named.removesuffix("_FILE") in settings, (file.name, named)

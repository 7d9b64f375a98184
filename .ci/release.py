"""Makes a release out of what is checked out: `make release VERSION=1.2.0`.

The changelog's heading becomes the version with today's date, pyproject.toml says it, and dist/ gets a bill
of materials in CycloneDX's form, of the pinned packages. Nothing is committed, tagged or sent anywhere.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOOL: Final = ROOT / ".venv" / "release" / "bin" / "cyclonedx-py"
HEADING: Final = "## Not released yet"


def main(version: str) -> None:
    """Write all three, or say what is in the way and write none."""
    changes, project = (ROOT / "CHANGELOG.md", ROOT / "pyproject.toml")
    told, declared = changes.read_text(), project.read_text()
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"make release: VERSION={version} is not of the form 1.2.0")
    if f"\n## {version} " in told:
        sys.exit(f"make release: CHANGELOG.md has {version} already")
    section = told.partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    if not section.strip():
        sys.exit(f"make release: CHANGELOG.md tells nothing under “{HEADING}”")
    changes.write_text(told.replace(f"\n{HEADING}\n", f"\n## {version} – {datetime.now(UTC):%Y-%m-%d}\n", 1))
    project.write_text(re.sub(r'^version = ".*"$', f'version = "{version}"', declared, count=1, flags=re.M))
    bill = bill_of_materials(version)
    print(f"{section.strip()}\n\nmake release: version {version}, {bill.relative_to(ROOT)}")
    print(f"Read the difference, then: git commit -am 'Release {version}' && git tag v{version}")


def bill_of_materials(version: str) -> Path:
    """Write what the service consists of: each pinned package with its version and its digests."""
    bill = ROOT / "dist" / f"recount-feedback-{version}.cdx.json"
    bill.parent.mkdir(exist_ok=True)
    told = ["--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON", "-o", str(bill)]
    # It warns that the list says not which package asked for which: the lock does.
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore::UserWarning"}
    subprocess.run([TOOL, "requirements", "requirements.txt", *told], cwd=ROOT, env=quiet, check=True)
    return bill


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")

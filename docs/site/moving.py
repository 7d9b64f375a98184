"""Takes the moving picture of the README: docs/screenshots/moving.webp, of a running `recount demo`.

    .venv/docs/bin/python docs/site/moving.py http://127.0.0.1:8080/

It needs Chromium, node with the packages of tests/given/npm/page, and what `make docs` has installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Final

from PIL import Image  # type: ignore[import-not-found]

ROOT: Final = Path(__file__).resolve().parents[2]
SCRIPT: Final = ROOT / "tests" / "given" / "npm" / "page" / "moving.mjs"
TARGET: Final = ROOT / "docs" / "screenshots" / "moving.webp"
WIDTH: Final = 900
FRAME_MS_MIN: Final = 150
LAST_MS: Final = 2_500


def main() -> None:
    """Take the frames, drop those that another soon follows, and make one file of the others."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["node", SCRIPT, sys.argv[1], folder], cwd=SCRIPT.parent, check=True)
        times = json.loads(Path(folder, "frames.json").read_text())
        drawn = sorted(zip(times, sorted(Path(folder).glob("*.png")), strict=True))
        kept = [drawn[0]]
        for at, path in drawn[1:]:
            if at - kept[-1][0] >= FRAME_MS_MIN:
                kept.append((at, path))
            else:  # what was drawn last is whole
                kept[-1] = (kept[-1][0], path)
        lasts = [after - at for (at, _), (after, _) in pairwise(kept)] + [LAST_MS]
        first, *others = (_scaled(path) for _, path in kept)
    first.save(
        TARGET,
        save_all=True,
        append_images=others,
        duration=lasts,
        loop=0,
        method=6,
        quality=60,
        minimize_size=True,
    )
    size = TARGET.stat().st_size
    print(f"{TARGET.relative_to(ROOT)}: {len(kept)} frames, {sum(lasts) / 1000:.0f} s, {size:,} bytes")


def _scaled(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGB")
    return image.resize((WIDTH, image.height * WIDTH // image.width), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()

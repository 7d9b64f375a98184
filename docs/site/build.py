"""Builds the site of the documentation into `service/web/docs`, where the service serves it from.

`make docs` runs it. Nothing is fetched: the tool lies in `.venv/docs`, fonts are the reader's own. What
is wrong with a page, a link, an anchor or the order of reading ends it, and the site that was there stays.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from docs.site.reference import write

ROOT: Final = Path(__file__).resolve().parents[2]
TOOL: Final = ROOT / ".venv" / "docs" / "bin" / "zensical"
TARGET: Final = ROOT / "service" / "web" / "docs"
CONFIG: Final = Path(__file__).with_name("zensical.toml")
PAGES: Final = {"CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages that lie beside docs/, and what they are called on the site."""


class Wrong(Exception):
    """What is wrong with the documentation, a line each."""


def build(target: Path = TARGET) -> None:
    """Stage the pages, build them, check what came out, and put it in its place. Raises Wrong."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        stage_pages(stage / "pages")
        shutil.copy(CONFIG, stage)
        check_order(stage / "pages")
        built = subprocess.run(
            [TOOL, "build", "--clean", "--strict"], cwd=stage, capture_output=True, text=True, check=False
        )
        if built.returncode != 0:
            raise Wrong(built.stdout + built.stderr)
        # For servers that need them: the service has a sentence of its own, and no address to map.
        for name in ("404.html", "sitemap.xml"):
            (stage / "site" / name).unlink(missing_ok=True)
        check(stage / "site")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(stage / "site", target)


def stage_pages(pages: Path) -> None:
    """Put all pages into a folder, as the tool takes them."""
    shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("site", "__pycache__"))
    for source, name in PAGES.items():
        shutil.copy(ROOT / source, pages / name)
    for page in pages.glob("*.md"):
        page.write_text(re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", _for_the_site, page.read_text()))
    for name in ("site.css", "site.js"):
        shutil.copy(CONFIG.with_name(name), pages / name)
    write(pages / "reference")


def _for_the_site(link: re.Match[str]) -> str:
    """A link as the site has it: to a page beside docs/ by its name there, to code by its path alone."""
    text, target = link[1], link[2].removeprefix("../")
    if target in PAGES:
        return f"[{text}]({PAGES[target]})"
    if target.startswith("docs/"):
        return f"[{text}]({target.removeprefix('docs/')})"
    if target == link[2]:
        return link[0]
    return text if target in text else f"{text} (`{target}`)"


def check_order(pages: Path) -> None:
    """Refuse a page that the order of reading leaves out, or names in vain. Raises Wrong."""
    named = sorted(_pages_of(tomllib.loads(CONFIG.read_text())["project"]["nav"]))
    there = sorted(str(page.relative_to(pages)) for page in pages.rglob("*.md"))
    if named != there:
        raise Wrong(f"{CONFIG.name}: the order of reading and the pages differ in {set(named) ^ set(there)}")


def _pages_of(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _pages_of(part)


class _Page(HTMLParser):
    """What a page of the site has: its anchors, and whatever it leads to or loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag != "a":
            self.loaded += [given[name] for name in ("src", "href", "data", "poster") if name in given]


def check(site: Path) -> None:
    """Refuse a dead link or anchor, and whatever is loaded from elsewhere. Raises Wrong."""
    pages = {page: _Page(page.read_text()) for page in site.rglob("*.html")}
    wrong = []
    for page, found in pages.items():
        where = page.relative_to(site)
        for link in [*found.links, *found.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in found.loaded:
                    wrong.append(f"{where} loads {link}")
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                wrong.append(f"{where} leads to {link}, which is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                wrong.append(f"{where} leads to {link}, an anchor that is not there")
    if wrong:
        raise Wrong("\n".join(sorted(set(wrong))))


def main() -> None:
    """Build, or say what is wrong and end with 1."""
    if not TOOL.exists():
        sys.exit("make docs: the tool is not installed; `make docs` fetches it")
    try:
        build()
    except Wrong as error:
        sys.exit(f"make docs: {error}")
    files = [path for path in TARGET.rglob("*") if path.is_file()]
    print(f"make docs: {len(files)} files in {TARGET.relative_to(ROOT)}; the service serves them at /docs")


if __name__ == "__main__":
    main()

"""The kind of import contract that pyproject.toml uses: all that a module may import of ours, listed."""

from __future__ import annotations

from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class ImportsOnly(Contract):
    """`modules` (and what is below them, but for `except`) import, of ours, only `allowed` and themselves.

    import-linter's own contracts list what is forbidden, which a new module escapes until somebody adds it.
    """

    modules = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    excluded = fields.ListField(subfield=fields.StringField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Return the direct imports that are not allowed, each as "module imports module"."""
        modules, allowed, excluded = map(_names, (self.modules, self.allowed, self.excluded))
        wrong = [
            f"{importer} imports {imported}"
            for importer in sorted(graph.modules)
            if _within(importer, modules) and not _within(importer, excluded)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not _within(imported, [*allowed, *modules])
        ]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["wrong"]:
            output.print_error(line, bold=False)


def _names(field: object) -> list[str]:
    """A contract's field as what it holds once the contract is read, which its type does not say."""
    return cast(list[str], field)


def _within(module: str, roots: list[str]) -> bool:
    return any(module == root or module.startswith(root + ".") for root in roots)

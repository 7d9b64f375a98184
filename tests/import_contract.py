"""The kind of import contract that pyproject.toml uses: all that a module may import of ours, listed."""

from __future__ import annotations

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
        wrong = [
            f"{importer} imports {imported}"
            for importer in sorted(graph.modules)
            if _within(importer, self.modules) and not _within(importer, self.excluded)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not _within(imported, [*self.allowed, *self.modules])
        ]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["wrong"]:
            output.print_error(line, bold=False)


def _within(module: str, roots: list[str]) -> bool:
    return any(module == root or module.startswith(root + ".") for root in roots)

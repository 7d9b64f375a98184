"""The command line: what starts a command and how it ends.

Exit codes: 0 done; 1 a problem that the message names; 2 the call or a setting is off; 3 `verify`, `doctor`
or `reconcile` found something; 130 interrupted, or not answered yes. docs/commands.md has them.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Run one command and leave with its exit code: what is refused is one line, never a traceback."""
    try:
        # Not at the top: Ctrl-C may come while they are loaded.
        from service.cli.streams import open_streams

        open_streams()
        from service.cli.ending import ended

        code = ended()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)

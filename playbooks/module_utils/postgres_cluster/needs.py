"""What settings require from the image (locales, libraries, files), and whether the running image has it."""

from __future__ import annotations

from typing import Dict, List, Optional

from .command import run
from .psql import psql_arguments, quote

# No question changes anything. An error counts as missing: what the server may not stat, it cannot read either.
QUESTIONS: Dict[str, str] = {
    # For this session only. Fails if the C library lacks the locale.
    "locale": "SET lc_monetary = %(name)s;",
    "library": """SELECT %(number)d FROM pg_config WHERE name = 'PKGLIBDIR'
  AND (pg_stat_file(setting || '/' || %(name)s, true)).size IS NULL
  AND (pg_stat_file(setting || '/' || %(name)s || '.so', true)).size IS NULL;""",
    "file": "SELECT %(number)d WHERE (pg_stat_file(%(name)s, true)).size IS NULL;",
}


def find_lacks(container: str, needs: List[Dict[str, str]]) -> Optional[List[int]]:
    """Returns the positions of the needs that the running server's image lacks; `needs`: {kind, name} each. None if the
    server does not answer."""
    if not needs:
        return []
    result = run(psql_arguments(container), stdin=render_questions(needs), timeout=20, check=False)
    return None if result.returncode != 0 else parse_lacks(result.stdout)


def render_questions(needs: List[Dict[str, str]]) -> str:
    """Returns SQL for psql, whose output `parse_lacks` reads."""
    lines = ["\\set ON_ERROR_STOP 0"]
    for number, need in enumerate(needs):
        question = QUESTIONS[need["kind"]] % {"number": number, "name": quote(need["name"])}
        lines += [question, "\\if :ERROR", "\\echo %d" % number, "\\endif"]
    return "\n".join(lines) + "\n"


def parse_lacks(output: str) -> List[int]:
    """Returns the numbers that psql wrote, one per line."""
    return sorted({int(line) for line in output.split()})

"""What settings take from the image, and whether the image that runs has it."""

from __future__ import annotations

from typing import Dict, List, Optional

from .command import run
from .psql import psql_arguments, quote

# None of them changes anything. One that fails is an answer too: what the server may not look at it cannot read either.
QUESTIONS: Dict[str, str] = {
    # In this session alone, and only where the C library has it.
    "locale": "SET lc_monetary = %(name)s;",
    "library": """SELECT %(number)d FROM pg_config WHERE name = 'PKGLIBDIR'
  AND (pg_stat_file(setting || '/' || %(name)s, true)).size IS NULL
  AND (pg_stat_file(setting || '/' || %(name)s || '.so', true)).size IS NULL;""",
    "file": "SELECT %(number)d WHERE (pg_stat_file(%(name)s, true)).size IS NULL;",
}


def find_lacks(container: str, needs: List[Dict[str, str]]) -> Optional[List[int]]:
    """The positions of what the running server's image lacks; `needs`: {kind, name} each. None when the server does
    not answer."""
    if not needs:
        return []
    result = run(psql_arguments(container), stdin=render_questions(needs), timeout=20, check=False)
    return None if result.returncode != 0 else parse_lacks(result.stdout)


def render_questions(needs: List[Dict[str, str]]) -> str:
    """SQL for psql, whose output `parse_lacks` reads."""
    lines = ["\\set ON_ERROR_STOP 0"]
    for number, need in enumerate(needs):
        question = QUESTIONS[need["kind"]] % {"number": number, "name": quote(need["name"])}
        lines += [question, "\\if :ERROR", "\\echo %d" % number, "\\endif"]
    return "\n".join(lines) + "\n"


def parse_lacks(output: str) -> List[int]:
    """The numbers that psql wrote, a line each."""
    return sorted({int(line) for line in output.split()})

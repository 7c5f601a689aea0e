"""The sort order of text, and whether another image would sort stored text in another order.

The libraries of the image define the order, and their version identifies it (PostgreSQL manual, 23.2.2.4 "Collation
Versions"). `C`, `POSIX`, `C.*` and the provider `builtin` sort by code point in every version.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .psql import ask_once, quote

# Limits of what a text lists before it says how many more there are: names in one database, entries of a message,
# databases per locale, and notes.
MAX_NAMES = 10
MAX_ENTRIES = 10
MAX_DATABASES = 3
MAX_NOTES = 20
# A catalog may be large.
READ_SECONDS = 120

# template0 accepts no connections, so nothing is stored in it.
# Columns that only some versions have are read from the row as JSON: 15 and 16 have `daticulocale`, 17 and later have
# `datlocale`.
DATABASES = """
SELECT coalesce(json_agg(json_build_object(
  'name', datname, 'quoted', quote_ident(datname), 'provider', %(provider)s,
  'locale', coalesce(to_json(d) ->> 'datlocale', to_json(d) ->> 'daticulocale', datcollate),
  'version', %(version)s, 'recorded', to_json(d) ->> 'datcollversion', 'needs', json_build_array(datcollate, datctype)) ORDER BY datname), '[]')
FROM pg_database d WHERE datname <> 'template0'
"""
# PostgreSQL 14 records no version for a database. glibc has one version for all its locales.
VERSION_IN_14 = """CASE WHEN lower(datcollate) IN ('c', 'posix') OR lower(datcollate) LIKE 'c.%' THEN NULL
  ELSE (SELECT max(pg_collation_actual_version(oid)) FROM pg_collation WHERE collprovider = 'c') END"""

# What is stored in sort order: keys of indexes and bounds of range partitions. `default` is the database's own collation.
STORED = """
SELECT coalesce(json_agg(json_build_object(
  'collation', sorted_by, 'provider', collprovider, 'locale', locale, 'version', version, 'recorded', collversion,
  'needs', CASE WHEN collprovider = 'c' THEN json_build_array(collcollate, collctype) ELSE '[]' END,
  'count', count, 'names', names) ORDER BY sorted_by), '[]')
FROM (
  SELECT format('%%I.%%I', n.nspname, c.collname) AS sorted_by, c.collprovider, c.collcollate, c.collctype, c.collversion,
    coalesce(to_json(c) ->> 'colllocale', to_json(c) ->> 'colliculocale', c.collcollate) AS locale,
    pg_collation_actual_version(c.oid) AS version,
    count(*) AS count, (array_agg(used.name ORDER BY used.name))[1:%d] AS names
  FROM (
    SELECT format('%%I.%%I', n.nspname, r.relname) AS name, u.collation_id
    FROM (
      SELECT indexrelid AS relation, unnest(indcollation::oid[]) AS collation_id FROM pg_index
      UNION SELECT partrelid, unnest(partcollation::oid[]) FROM pg_partitioned_table WHERE partstrat = 'r'
    ) AS u
    JOIN pg_class r ON r.oid = u.relation JOIN pg_namespace n ON n.oid = r.relnamespace
    -- Temporary relations of other sessions.
    WHERE r.relpersistence <> 't'
  ) AS used
  JOIN pg_collation c ON c.oid = used.collation_id JOIN pg_namespace n ON n.oid = c.collnamespace
  GROUP BY c.oid, n.nspname
) AS found
""" % MAX_NAMES


class Stored(NamedTuple):
    """What one database stores in one sort order."""

    # As an SQL identifier.
    database: str
    # `c`: the C library, `i`: ICU.
    provider: str
    locale: str
    # Of the libraries that the server runs with. None: they have none, and had one when it was built.
    version: Optional[str]
    # Of the libraries that it was built or last rebuilt with. None: not recorded.
    recorded: Optional[str]
    # As an SQL identifier with its schema. None: the database's own.
    collation: Optional[str]
    # Indexes and partitioned tables: the number and the first names. None: the database could not be queried.
    count: Optional[int]
    names: List[str]


class Orders(NamedTuple):
    """What a running server stores in an order that libraries define, and the locales that its databases need."""

    stored: List[Stored]
    # {locale: databases, as SQL identifiers}.
    needs: Dict[str, List[str]]
    major: int


class Answers(NamedTuple):
    """The locales and versions of an image's libraries."""

    # Locales that the C library has, of those in question.
    locales: List[str]
    # The version of all locales of the C library. None: they have none, as in musl.
    libc: Optional[str]
    # {ICU locale: version}, without those that ICU lacks.
    icu: Dict[str, str]


def read_orders(container: str, major: int) -> Optional[Orders]:
    """Queries every database of the running server. Returns None if the server does not answer."""
    columns = (
        {"provider": "datlocprovider", "version": "pg_database_collation_actual_version(oid)"}
        if major >= 15
        else {"provider": "'c'", "version": VERSION_IN_14}
    )
    # The only other percent sign is in the LIKE pattern of VERSION_IN_14, which is inserted, not formatted.
    databases = ask_once(container, DATABASES % columns, timeout=READ_SECONDS)
    if databases is None:
        return None
    found = [(database, ask_once(container, STORED, timeout=READ_SECONDS, database=database["name"])) for database in databases]
    return describe_orders(found, major)


def describe_orders(
    found: List[Tuple[Dict[str, Any], Optional[List[Dict[str, Any]]]]], major: int
) -> Orders:
    """Builds Orders from (database, rows) pairs. Rows of None: the database accepts no connections and may store anything."""
    stored: List[Stored] = []
    needs: Dict[str, List[str]] = {}
    for database, rows in found:
        quoted = database["quoted"]
        own = {key: database[key] for key in ("provider", "locale", "version", "recorded")}
        unseen = {"collation": None, "provider": "d", "count": None, "names": []}
        for row in [unseen] if rows is None else rows:
            is_own = row["provider"] == "d"
            order = own if is_own else row
            has_version = order["version"] is not None or order["recorded"] is not None
            if has_version and order["provider"] in ("c", "i"):
                stored.append(
                    Stored(
                        quoted,
                        order["provider"],
                        order["locale"],
                        order["version"],
                        order["recorded"],
                        None if is_own else row["collation"],
                        row["count"],
                        row["names"],
                    )
                )
            for locale in row.get("needs") or []:
                needs.setdefault(locale, []).append(quoted)
        # Every connection sets LC_COLLATE and LC_CTYPE, whichever provider sorts (CheckMyDatabase in postinit.c).
        for locale in database["needs"]:
            needs.setdefault(locale, []).append(quoted)
    return Orders(stored, {locale: sorted(set(names)) for locale, names in needs.items()}, major)


def render_questions(orders: Orders) -> str:
    """Returns SQL for psql on a server of the other image. `parse_answers` reads its output; a failed statement means "no"."""
    lines: List[str] = []
    for number, locale in enumerate(list_locales(orders)):
        # Affects only this session, and fails if the locale does not exist.
        lines += ["SET lc_monetary = %s;" % quote(locale), "\\if :ERROR", "\\else", "\\echo locale %d" % number, "\\endif"]
    for number, locale in enumerate(list_icu_locales(orders)):
        name = "public.asked_%d" % number
        lines += [
            "CREATE COLLATION %s (provider = icu, locale = %s);" % (name, quote(locale)),
            "\\if :ERROR",
            "\\else",
            "SELECT 'icu %d ' || pg_collation_actual_version('%s'::regcollation);" % (number, name),
            "\\endif",
        ]
    lines.append("SELECT 'libc ' || max(pg_collation_actual_version(oid)) FROM pg_collation WHERE collprovider = 'c';")
    return "\n".join(lines) + "\n"


def list_locales(orders: Orders) -> List[str]:
    """Returns the locales of the C library in question, in the order of the questions."""
    return sorted(orders.needs)


def list_icu_locales(orders: Orders) -> List[str]:
    """Returns the ICU locales in question, in the order of the questions."""
    return sorted({stored.locale for stored in orders.stored if stored.provider == "i"})


def parse_answers(output: str, orders: Orders) -> Answers:
    """Parses the output of psql for `render_questions(orders)`."""
    locales: List[str] = []
    libc: Optional[str] = None
    icu: Dict[str, str] = {}
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "locale":
            locales.append(list_locales(orders)[int(rest)])
        elif kind == "icu":
            number, _, version = rest.partition(" ")
            icu[list_icu_locales(orders)[int(number)]] = version
        elif kind == "libc":
            libc = rest or None
    return Answers(locales, libc, icu)


def find_missing(orders: Orders, answers: Answers) -> Optional[str]:
    """Returns which locales the other image lacks, as a sentence without its full stop; None if it lacks none. Databases
    with these locales would be unusable."""
    missing = [
        "%s (of %s)" % (locale, _list(databases, MAX_DATABASES))
        for locale, databases in sorted(orders.needs.items())
        if locale not in answers.locales
    ]
    missing += [
        "%s of ICU (of %s)"
        % (locale, _list(sorted({one.database for one in orders.stored if one.locale == locale}), MAX_DATABASES))
        for locale in list_icu_locales(orders)
        if locale not in answers.icu
    ]
    return None if not missing else "it has no locale %s" % _list(missing, MAX_ENTRIES)


def find_moved(orders: Orders, answers: Answers) -> List[Tuple[Stored, str]]:
    """Returns what would be sorted in another order, each with its new version."""
    found = []
    for stored in orders.stored:
        # musl, which no image of another family replaces (require_same_family).
        if stored.version is None:
            continue
        version = answers.libc if stored.provider == "c" else answers.icu.get(stored.locale)
        # Built with the recorded version, and perhaps written to with the current one.
        if version != stored.version or stored.recorded not in (None, version):
            found.append((stored, version or "without a version"))
    return found


def describe_moved(moved: List[Tuple[Stored, str]]) -> str:
    """Describes what would be sorted differently, by database."""
    lines = [
        "%s: %s, %s" % (stored.database, _describe_change(stored, version), _say_count(stored))
        for stored, version in moved[:MAX_ENTRIES]
    ]
    return _end_list(lines, len(moved), "; ")


def advise(moved: List[Tuple[Stored, str]], major: int) -> List[str]:
    """Returns what to do after the change: a text for each database and collation, with the statements in backquotes."""
    notes = []
    for stored, version in moved[:MAX_NOTES]:
        begin = "Database %s sorts by %s: " % (_code(stored.database), _describe_change(stored, version))
        if stored.count is None:
            work = "it accepts no connections, so its indexes were not listed. Allow connections, and run %s" % (
                _code("REINDEX DATABASE %s" % stored.database)
            )
        else:
            names = _end_list([_code(name) for name in stored.names], stored.count, ", ")
            work = "rebuild %s (indexes with %s, tables partitioned by range by moving their rows)" % (
                names,
                _code("REINDEX INDEX CONCURRENTLY"),
            )
        notes.append("%s%s.%s" % (begin, work, _say_refresh(stored, major)))
    rest = len(moved) - MAX_NOTES
    return notes + (["The same goes for %d more databases or collations" % rest] if rest > 0 else [])


def _say_refresh(stored: Stored, major: int) -> str:
    if stored.collation is not None:
        return " Then %s there." % _code("ALTER COLLATION %s REFRESH VERSION" % stored.collation)
    # PostgreSQL 14 records no version.
    return "" if major < 15 else " Then %s." % _code("ALTER DATABASE %s REFRESH COLLATION VERSION" % stored.database)


def _describe_change(stored: Stored, version: str) -> str:
    library = "glibc" if stored.provider == "c" else "ICU"
    before = stored.version if stored.recorded in (None, version) else stored.recorded
    return "%s %s instead of %s (%s)" % (library, version, before, stored.locale)


def _say_count(stored: Stored) -> str:
    if stored.count is None:
        return "it accepts no connections, so its indexes cannot be listed"
    return "%d to rebuild" % stored.count


def _list(items: List[str], max_items: int) -> str:
    return _end_list(items[:max_items], len(items), ", ")


def _end_list(shown: List[str], count: int, separator: str) -> str:
    rest = count - len(shown)
    return separator.join(shown) + (" and %d more" % rest if rest > 0 else "")


def _code(text: str) -> str:
    """Returns a code span (CommonMark, 6.1). Backquotes in the text become apostrophes."""
    return "`%s`" % text.replace("`", "'")

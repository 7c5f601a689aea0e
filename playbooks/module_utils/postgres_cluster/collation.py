"""In which order texts are sorted, and whether another image would sort what is stored in another order.

PostgreSQL takes the order from the libraries of its image, whose version says which order it is (manual, 23.2.2.4
"Collation Versions"). `C`, `POSIX`, `C.*` and the provider `builtin` sort by code point in every version.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .psql import ask_once, quote

# Names of one database that a text shows; it says how many more there are.
MOST_NAMES = 10
# Databases and locales that a message tells of, databases that it names for a locale, and notes.
MOST_TOLD = 10
MOST_DATABASES = 3
MOST_NOTES = 20

# template0 lets nobody in, so nothing can have been stored in it.
# Columns that only some of the versions have are read from the row as JSON: `daticulocale` is of 15 and 16, `datlocale`
# came with 17.
DATABASES = """
SELECT coalesce(json_agg(json_build_object(
  'name', datname, 'quoted', quote_ident(datname), 'provider', %(provider)s,
  'locale', coalesce(to_json(d) ->> 'datlocale', to_json(d) ->> 'daticulocale', datcollate),
  'version', %(version)s, 'recorded', to_json(d) ->> 'datcollversion', 'needs', json_build_array(datcollate, datctype)) ORDER BY datname), '[]')
FROM pg_database d WHERE datname <> 'template0'
"""
# 14 records no version for a database; glibc has one for all its locales.
VERSION_IN_14 = """CASE WHEN lower(datcollate) IN ('c', 'posix') OR lower(datcollate) LIKE 'c.%' THEN NULL
  ELSE (SELECT max(pg_collation_actual_version(oid)) FROM pg_collation WHERE collprovider = 'c') END"""

# What is stored in an order: the keys of indexes, and the bounds of range partitions. `default` is the database's own.
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
    -- Other sessions' own.
    WHERE r.relpersistence <> 't'
  ) AS used
  JOIN pg_collation c ON c.oid = used.collation_id JOIN pg_namespace n ON n.oid = c.collnamespace
  GROUP BY c.oid, n.nspname
) AS found
""" % MOST_NAMES


class Stored(NamedTuple):
    """What is stored in one order in one database."""

    # As an SQL identifier.
    database: str
    # `c`: the C library, `i`: ICU.
    provider: str
    locale: str
    # Of the libraries that the server runs with.
    version: Optional[str]
    # Of those that it was made with, or last rebuilt; None: nobody wrote it down.
    recorded: Optional[str]
    # As an SQL identifier with its schema; None: the database's own.
    collation: Optional[str]
    # Indexes and partitioned tables: the number, and the names of the first. None: nobody could look.
    count: Optional[int]
    names: List[str]


class Orders(NamedTuple):
    """What a running server has stored in an order that libraries decide, and the locales that its databases need."""

    stored: List[Stored]
    # {locale: databases, as SQL identifiers}.
    needs: Dict[str, List[str]]
    major: int


class Answers(NamedTuple):
    """What the libraries of an image say."""

    # Locales of the C library that it has.
    locales: List[str]
    # One for all locales of the C library; None: they have none, as musl's.
    libc: Optional[str]
    # {ICU's locale: version}; one that is missing does not exist there.
    icu: Dict[str, str]


def read_orders(container: str, major: int) -> Optional[Orders]:
    """Asks every database of the running server; None when the server does not answer."""
    columns = (
        {"provider": "datlocprovider", "version": "pg_database_collation_actual_version(oid)"}
        if major >= 15
        else {"provider": "'c'", "version": VERSION_IN_14}
    )
    # A LIKE pattern of its own holds the only other percent sign.
    databases = ask_once(container, DATABASES % columns)
    if databases is None:
        return None
    found = [(database, ask_once(container, STORED, database=database["name"])) for database in databases]
    return describe_orders(found, major)


def describe_orders(
    found: List[Tuple[Dict[str, Any], Optional[List[Dict[str, Any]]]]], major: int
) -> Orders:
    """Sorts what the databases answered; None: that one lets nobody in, so anything may be stored in its order."""
    stored: List[Stored] = []
    needs: Dict[str, List[str]] = {}
    for database, rows in found:
        quoted = database["quoted"]
        own = {key: database[key] for key in ("provider", "locale", "version", "recorded")}
        unseen = {"collation": None, "provider": "d", "count": None, "names": []}
        for row in [unseen] if rows is None else rows:
            is_own = row["provider"] == "d"
            order = own if is_own else row
            if order["version"] is not None and order["provider"] in ("c", "i"):
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
        # Whatever sorts, a connection sets both (CheckMyDatabase in PostgreSQL's postinit.c).
        for locale in database["needs"]:
            needs.setdefault(locale, []).append(quoted)
    return Orders(stored, {locale: sorted(set(names)) for locale, names in needs.items()}, major)


def render_questions(orders: Orders) -> str:
    """SQL for psql on a server of the other image, whose output `parse_answers` reads. One that fails is an answer."""
    lines: List[str] = []
    for number, locale in enumerate(list_locales(orders)):
        # Sets it in this session alone, and fails where there is no such locale.
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
    """The locales of the C library that are asked for, in the order of the questions."""
    return sorted(orders.needs)


def list_icu_locales(orders: Orders) -> List[str]:
    """ICU's locales that are asked for, in the order of the questions."""
    return sorted({stored.locale for stored in orders.stored if stored.provider == "i"})


def parse_answers(output: str, orders: Orders) -> Answers:
    """Reads what psql wrote for `render_questions(orders)`."""
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
    """Why databases could not be used at all with the other image, in one sentence without its full stop; None where
    nothing is missing."""
    missing = [
        "%s (of %s)" % (locale, _list(databases, MOST_DATABASES))
        for locale, databases in sorted(orders.needs.items())
        if locale not in answers.locales
    ]
    missing += [
        "%s of ICU (of %s)"
        % (locale, _list(sorted({one.database for one in orders.stored if one.locale == locale}), MOST_DATABASES))
        for locale in list_icu_locales(orders)
        if locale not in answers.icu
    ]
    return None if not missing else "it has no locale %s" % _list(missing, MOST_TOLD)


def find_moved(orders: Orders, answers: Answers) -> List[Tuple[Stored, str]]:
    """What is stored in an order that would be another one, and the version it would have."""
    found = []
    for stored in orders.stored:
        version = answers.libc if stored.provider == "c" else answers.icu.get(stored.locale)
        # Made with one version, and perhaps written to with another.
        if version != stored.version or stored.recorded not in (None, version):
            found.append((stored, version or "without a version"))
    return found


def describe_moved(moved: List[Tuple[Stored, str]]) -> str:
    """What is sorted differently, by database."""
    lines = [
        "%s: %s, %s" % (stored.database, _describe_change(stored, version), _say_count(stored))
        for stored, version in moved[:MOST_TOLD]
    ]
    return _end_list(lines, len(moved), "; ")


def advise(moved: List[Tuple[Stored, str]], major: int) -> List[str]:
    """What to do after the change, a text for each database and collation, the statements in backquotes."""
    notes = []
    for stored, version in moved[:MOST_NOTES]:
        begin = "Database %s sorts by %s: " % (_code(stored.database), _describe_change(stored, version))
        if stored.count is None:
            work = "it lets nobody in, so its indexes were not listed. Let somebody in, and run %s" % (
                _code("REINDEX DATABASE %s" % stored.database)
            )
        else:
            names = _end_list([_code(name) for name in stored.names], stored.count, ", ")
            work = "rebuild %s (indexes with %s, tables partitioned by range by moving their rows)" % (
                names,
                _code("REINDEX INDEX CONCURRENTLY"),
            )
        notes.append("%s%s.%s" % (begin, work, _say_refresh(stored, major)))
    rest = len(moved) - MOST_NOTES
    return notes + (["The same goes for %d more databases or collations" % rest] if rest > 0 else [])


def _say_refresh(stored: Stored, major: int) -> str:
    if stored.collation is not None:
        return " Then %s there." % _code("ALTER COLLATION %s REFRESH VERSION" % stored.collation)
    # 14 records none.
    return "" if major < 15 else " Then %s." % _code("ALTER DATABASE %s REFRESH COLLATION VERSION" % stored.database)


def _describe_change(stored: Stored, version: str) -> str:
    library = "glibc" if stored.provider == "c" else "ICU"
    before = stored.version if stored.recorded in (None, version) else stored.recorded
    return "%s %s instead of %s (%s)" % (library, version, before, stored.locale)


def _say_count(stored: Stored) -> str:
    if stored.count is None:
        return "it lets nobody in, so that what is to be rebuilt cannot be listed"
    return "%d to rebuild" % stored.count


def _list(items: List[str], most: int) -> str:
    return _end_list(items[:most], len(items), ", ")


def _end_list(shown: List[str], count: int, separator: str) -> str:
    rest = count - len(shown)
    return separator.join(shown) + (" and %d more" % rest if rest > 0 else "")


def _code(text: str) -> str:
    """As a code span (CommonMark, 6.1), whatever backquotes are in it."""
    return "`%s`" % text.replace("`", "'")

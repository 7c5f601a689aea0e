"""The state of a server's WAL archiving (PostgreSQL manual, 26.3.1 and 27.2.12 `pg_stat_archiver`)."""

from __future__ import annotations

from .archive_push import SCRIPT
from .backup_layout import BACKREST_CONF
from .layout import CONTAINER_ETC

# An expression of type json. Null if this server archives nothing: archive_mode is off or leaves it to the primary, or there
# are no backups, so that the managed archive_command does nothing.
# `waiting` files are not archived yet; PostgreSQL never removes them. `waitingSince` is when it asked for the oldest of them.
ARCHIVER = """
(SELECT json_build_object(
  'state', CASE
    WHEN current_setting('archive_command') = '' AND coalesce(current_setting('archive_library', true), '') = ''
      THEN 'unconfigured'
    WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN 'failing'
    ELSE 'archiving' END,
  'failed', failed_count,
  'lastFailed', last_failed_wal,
  'waiting', waiting,
  'waitingBytes', waiting * (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
  'waitingSince', since)
FROM pg_stat_archiver,
  LATERAL (SELECT count(*) AS waiting, floor(extract(epoch FROM min(modification)))::bigint AS since
    FROM pg_ls_archive_statusdir() WHERE name ~ '[.]ready$') AS files
WHERE (current_setting('archive_mode') = 'always'
  OR (current_setting('archive_mode') = 'on' AND NOT pg_is_in_recovery()))
  AND NOT (position('@SCRIPT@ ' IN current_setting('archive_command')) > 0 AND pg_stat_file('@CONF@', true) IS NULL))
""".replace("@SCRIPT@", SCRIPT).replace("@CONF@", "%s/%s" % (CONTAINER_ETC, BACKREST_CONF))

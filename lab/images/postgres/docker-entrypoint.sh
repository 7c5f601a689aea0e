#!/usr/bin/env bash
# Behaves like the entrypoint of the official PostgreSQL image, as far as its documentation promises:
# an empty data directory is initialised from POSTGRES_* and the files in /docker-entrypoint-initdb.d,
# one that contains a cluster is used unchanged, and the server never runs as root.
set -Eeuo pipefail
shopt -s nullglob

fail() {
  printf 'Error: %s\n' "$@" >&2
  exit 1
}

# Sets the variable $1 from itself, from the file that $1_FILE names, or to $2.
read_setting() {
  local name="$1" file="$1_FILE"
  if [[ -n "${!name-}" && -n "${!file-}" ]]; then
    fail "$name and $file exclude each other, and both are set"
  fi
  if [[ -n "${!file-}" ]]; then
    export "$name=$(<"${!file}")"
  else
    export "$name=${!name-${2-}}"
  fi
  unset "$file"
}

# True if the command line only asks postgres for information and needs no data directory.
asks_for_help() {
  local argument
  for argument; do
    case "$argument" in
      -'?' | --help | --describe-config | -V | --version) return 0 ;;
    esac
  done
  return 1
}

prepare_directories() {
  mkdir -p "$PGDATA" /var/run/postgresql
  # These may fail on some storage where they are not needed.
  chmod 00700 "$PGDATA" || :
  chmod 03775 /var/run/postgresql || :
  if [[ -n "${POSTGRES_INITDB_WALDIR-}" ]]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    chmod 00700 "$POSTGRES_INITDB_WALDIR" || :
  fi
  if [[ "$(id -u)" == 0 ]]; then
    local folder
    for folder in "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
      find "$folder" \! -user postgres -exec chown postgres {} +
    done
  fi
}

check_password() {
  if [[ -z "$POSTGRES_PASSWORD" && "$POSTGRES_HOST_AUTH_METHOD" != trust ]]; then
    fail 'Database is uninitialized and superuser password is not specified.' \
      'Set POSTGRES_PASSWORD to a non-empty value for the superuser,' \
      'or POSTGRES_HOST_AUTH_METHOD=trust to accept every connection without one (not recommended).'
  fi
  if [[ "$POSTGRES_HOST_AUTH_METHOD" == trust ]]; then
    echo 'WARNING: POSTGRES_HOST_AUTH_METHOD is trust: anyone who reaches the port is superuser' >&2
  fi
}

# Since 18 the volume is the parent directory: data in an older layout must not be ignored silently.
check_old_layout() {
  [[ "$PGDATA" == "/var/lib/postgresql/$PG_MAJOR/docker" ]] || return 0
  local folder
  for folder in /var/lib/postgresql /var/lib/postgresql/data /var/lib/postgresql/*/docker; do
    if [[ -s "$folder/PG_VERSION" ]]; then
      fail "there is a cluster in $folder, but PGDATA is $PGDATA: run pg_upgrade, or set PGDATA"
    fi
  done
  if mountpoint -q /var/lib/postgresql/data; then
    fail "a volume is mounted on /var/lib/postgresql/data, which PostgreSQL $PG_MAJOR does not use here" \
      'Mount it on /var/lib/postgresql instead.'
  fi
}

initialize_directory() {
  local -a waldir=()
  if [[ -n "${POSTGRES_INITDB_WALDIR-}" ]]; then waldir=(--waldir "$POSTGRES_INITDB_WALDIR"); fi
  # POSTGRES_INITDB_ARGS is part of a command line, including quotes.
  eval "local -a extra=($POSTGRES_INITDB_ARGS)"
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
    ${waldir[@]+"${waldir[@]}"} ${extra[@]+"${extra[@]}"}
  local method="$POSTGRES_HOST_AUTH_METHOD"
  if [[ -z "$method" ]]; then method="$(postgres -C password_encryption "${@:2}")"; fi
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

run_sql() {
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password \
    --username "$POSTGRES_USER" --dbname "${1-$POSTGRES_DB}" "${@:2}"
}

run_init_file() {
  local file="$1"
  case "$file" in
    *.sh)
      echo "$0: running $file"
      if [[ -x "$file" ]]; then "$file"; else source "$file"; fi
      ;;
    *.sql) echo "$0: running $file"; run_sql "$POSTGRES_DB" --file "$file" ;;
    *.sql.gz) echo "$0: running $file"; gunzip -c "$file" | run_sql "$POSTGRES_DB" ;;
    *.sql.xz) echo "$0: running $file"; xzcat "$file" | run_sql "$POSTGRES_DB" ;;
    *.sql.zst) echo "$0: running $file"; zstd -dc "$file" | run_sql "$POSTGRES_DB" ;;
    *) echo "$0: ignoring $file" ;;
  esac
}

# In this phase the server listens only on its socket, so that clients do not mistake it for the final one.
initialize() {
  check_old_layout
  check_password
  initialize_directory "$@"
  export PGPASSWORD="$POSTGRES_PASSWORD"
  local options
  options="$(printf '%q ' "${@:2}" -c listen_addresses= -p "${PGPORT:-5432}")"
  env -u NOTIFY_SOCKET pg_ctl -D "$PGDATA" -o "$options" -w start
  if [[ "$POSTGRES_DB" != postgres ]]; then
    run_sql postgres --set db="$POSTGRES_DB" <<< 'CREATE DATABASE :"db";'
  fi
  local file
  for file in /docker-entrypoint-initdb.d/*; do run_init_file "$file"; done
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD
  printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

main() {
  if [[ "${1-}" == -* ]]; then set -- postgres "$@"; fi
  if [[ "${1-}" == postgres ]] && ! asks_for_help "$@"; then
    prepare_directories
    # The rest, and everything it starts, runs as postgres.
    if [[ "$(id -u)" == 0 ]]; then exec gosu postgres "$BASH_SOURCE" "$@"; fi
    read_setting POSTGRES_PASSWORD
    read_setting POSTGRES_USER postgres
    read_setting POSTGRES_DB "$POSTGRES_USER"
    read_setting POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
    if [[ -s "$PGDATA/PG_VERSION" ]]; then
      printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
      initialize "$@"
    fi
  fi
  exec "$@"
}

main "$@"

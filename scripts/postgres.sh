#!/usr/bin/env bash
# A PostgreSQL server for tests: its own data, its own port of 127.0.0.1, no password, gone when it is stopped.
#
#   scripts/postgres.sh start DIR PORT    makes DIR, starts the server, prints its address
#   scripts/postgres.sh stop DIR          stops the server of DIR and removes its data
#
# Never touches another server or another folder. PostgreSQL refuses to run as root, so root hands it to `postgres`.

set -euo pipefail

fail() {
  printf 'postgres.sh: %s\n' "$*" >&2
  exit 1
}

# The newest installed server's programs; Debian keeps them out of the path.
find_programs() {
  local newest
  newest=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1 || true)
  if [[ -n $newest ]]; then
    dirname "$newest"
  elif command -v initdb >/dev/null; then
    dirname "$(readlink -f "$(command -v initdb)")"
  else
    fail "PostgreSQL is not installed; on Debian: apt-get install postgresql"
  fi
}

as_server_user() {
  if ((EUID == 0)); then
    runuser -u postgres -- "$@"
  else
    "$@"
  fi
}

start() {
  local folder=$1 port=$2 programs
  [[ $port =~ ^[0-9]+$ ]] || fail "PORT must be a number"
  [[ ! -e $folder/data ]] || fail "$folder/data exists already"
  programs=$(find_programs)
  mkdir -p "$folder"
  folder=$(readlink -f "$folder")
  if ((EUID == 0)); then chown postgres: "$folder"; fi
  chmod 700 "$folder"
  cd "$folder"
  as_server_user "$programs/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 \
    --locale=C --no-sync >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; fail "initdb failed"; }
  # fsync stays on: the store refuses a server whose commits would not be durable, in tests as anywhere.
  # Enough connections for tests that run side by side, each with pools of its own.
  cat >>"$folder/data/postgresql.conf" <<SETTINGS
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
max_connections = 400
fsync = on
shared_buffers = 64MB
SETTINGS
  as_server_user "$programs/pg_ctl" --pgdata="$folder/data" --log="$folder/server.log" --timeout=60 --wait start \
    >/dev/null || { tail -n 20 "$folder/server.log" >&2; fail "the server did not start"; }
  printf 'postgres://postgres@127.0.0.1:%s/postgres\n' "$port"
}

stop() {
  local folder=$1
  [[ -f $folder/data/PG_VERSION ]] || return 0
  folder=$(readlink -f "$folder")
  cd "$folder"
  if [[ -f $folder/data/postmaster.pid ]]; then
    as_server_user "$(find_programs)/pg_ctl" --pgdata="$folder/data" --mode=immediate --timeout=30 --wait stop >/dev/null
  fi
  cd /
  rm -rf -- "$folder/data" "$folder/initdb.log" "$folder/server.log"
  rmdir --ignore-fail-on-non-empty -- "$folder"
}

case ${1:-} in
  start) (($# == 3)) || fail "usage: postgres.sh start DIR PORT"; start "$2" "$3" ;;
  stop) (($# == 2)) || fail "usage: postgres.sh stop DIR"; stop "$2" ;;
  *) fail "usage: postgres.sh start DIR PORT | stop DIR" ;;
esac

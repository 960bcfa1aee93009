# shellcheck shell=bash
# The frame of ./check: steps with their times, servers of its own, the closing count, and clearing up by trap.
# Sourced, never run. Sets ROOT, WORK (a temporary folder) and LOGS.

ROOT=$PWD
LOGS=$ROOT/target/check
WORK=
STEPS=()
PASSED=0
FAILED=0
CURRENT=
CURRENT_PID=
WATCHDOG_PID=
STEP_STATUS=0
# No step may hang: seconds after which it is stopped and counts as failed.
STEP_DEADLINE=2400
POSTGRES_DATA=

say() { printf '%s\n' "$*"; }

die() {
  printf 'check: %s\n' "$*" >&2
  FAILED=$((FAILED + 1))
  exit 1
}

# Prepares the temporary folder and an environment in which nobody's own settings or keys matter.
begin() {
  command -v cargo >/dev/null || { say "check: Rust is missing; install it from https://rustup.rs" >&2; exit 1; }
  local name
  while read -r name; do unset "$name"; done < <(compgen -e | grep -E \
    '^(CHATWARD_|OPENAI_|OLLAMA_|JWT_SECRET$|ALLOWED_|MAX_REQUESTS_|SESSION_MAX_|ACCESS_TOKEN_|DATABASE_URL$|REDIS_URL$|QDRANT_)' |
    grep -vx CHATWARD_CHROMIUM)
  mkdir -p "$LOGS"
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/chatward-check.XXXXXX")
  # The database server runs as another user when the check runs as root, and must reach its folder.
  chmod 755 "$WORK"
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# step NAME COMMAND…: runs a command with its output shown and kept, and ends the check if it fails.
step() {
  attempt "$@"
  ((STEP_STATUS == 0)) || exit 1
}

# attempt NAME COMMAND…: the same, but leaves the outcome in STEP_STATUS and goes on.
attempt() {
  local name=$1 log status=0 started=$SECONDS
  shift
  log=$LOGS/${name// /-}.log
  CURRENT=$name
  say "==> $name"
  # A process group of its own lets the trap stop the command with all that it started, and nothing else.
  set -m
  (
    set +m -o pipefail
    "$@" </dev/null 2>&1 | tee "$log"
  ) &
  CURRENT_PID=$!
  (
    set +m
    sleep "$STEP_DEADLINE"
    say "check: '$name' took longer than $STEP_DEADLINE s" >&2
    kill -TERM -- "-$CURRENT_PID"
  ) &
  WATCHDOG_PID=$!
  set +m
  wait "$CURRENT_PID" || status=$?
  CURRENT_PID=
  stop_group "$WATCHDOG_PID"
  WATCHDOG_PID=
  STEP_STATUS=$status
  local took=$((SECONDS - started)) tests_passed=0 tests_failed=0 outcome=passed
  read -r tests_passed tests_failed < <(count_tests "$log")
  if ((tests_passed + tests_failed == 0)); then
    tests_passed=$((status == 0)) tests_failed=$((status != 0))
  elif ((status != 0 && tests_failed == 0)); then
    tests_failed=1
  fi
  PASSED=$((PASSED + tests_passed))
  FAILED=$((FAILED + tests_failed))
  ((status == 0)) || outcome=FAILED
  STEPS+=("$(printf '%-20s %5d s  %s' "$name" "$took" "$outcome")")
  CURRENT=
  if ((status != 0)); then
    say "check: '$name' failed; its output stands above and in ${log#"$ROOT"/}" >&2
  fi
}

# stop_group PID: ends a process group that this check started.
stop_group() {
  [[ -n $1 ]] || return 0
  kill -TERM -- "-$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# count_tests LOG: prints passed and failed, as cargo test, cargo nextest and node --test report them.
count_tests() {
  awk '
    { gsub(/\033\[[0-9;]*m/, "") }
    /^test result: / { passed += number("passed"); failed += number("failed") }
    /^ *Summary \[/ { passed += number("passed"); failed += number("failed") + number("timed out") }
    /^(#|ℹ) pass [0-9]+$/ { passed += $3 }
    /^(#|ℹ) (fail|cancelled) [0-9]+$/ { failed += $3 }
    function number(word) { return match($0, "[0-9]+ " word) ? substr($0, RSTART) + 0 : 0 }
    END { print passed + 0, failed + 0 }
  ' "$1"
}

# A port of 127.0.0.1 on which nobody listens at the moment.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { say "$port"; return; }
  done
  return 1
}

# Starts PostgreSQL for the tests and exports its address. Another process may take the port in between: try again.
start_postgres() {
  local attempt started=$SECONDS
  say "==> postgres"
  for attempt in 1 2 3; do
    POSTGRES_DATA=$WORK/postgres$attempt
    if CHATWARD_TEST_POSTGRES_URL=$(scripts/postgres.sh start "$POSTGRES_DATA" "$(free_port)"); then
      export CHATWARD_TEST_POSTGRES_URL
      STEPS+=("$(printf '%-20s %5d s  %s' postgres $((SECONDS - started)) started)")
      return
    fi
    stop_postgres
  done
  die "PostgreSQL did not start; run 'scripts/postgres.sh start /tmp/pg 54321' by hand to see why"
}

stop_postgres() {
  [[ -n $POSTGRES_DATA ]] || return 0
  scripts/postgres.sh stop "$POSTGRES_DATA" >/dev/null 2>&1 || true
  POSTGRES_DATA=
}

# Stops what was started, clears up and counts, however the check ends.
finish() {
  local status=$?
  trap - EXIT INT TERM HUP
  cd "$ROOT" || exit 1
  stop_group "$WATCHDOG_PID"
  stop_group "$CURRENT_PID"
  if [[ -n $CURRENT ]]; then
    say "check: stopped during '$CURRENT'" >&2
  fi
  stop_postgres
  [[ -z $WORK ]] || rm -rf -- "$WORK"
  if ((status != 0 && FAILED == 0)); then FAILED=1; fi
  if ((${#STEPS[@]})); then
    say "----"
    printf '%s\n' "${STEPS[@]}"
    printf '%-20s %5d s\n' total "$SECONDS"
  fi
  say "$PASSED passed, $FAILED failed"
  exit "$status"
}

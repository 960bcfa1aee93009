#!/usr/bin/env bash
# What a storm of logins does to a chat: the chat's latency at half of what the server can serve, alone and while
# strangers try passwords as fast as they are let, with one place for passwords. Server, load and provider share the
# machine's cores.
#
# Usage: bench/storm.sh [--no-build] [--seconds N] [--concurrency N]
#   CHATWARD   a built program instead of target/dist/chatward
#
# Needs: cargo. It listens on free loopback ports, writes to a temporary folder and stops what it started.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
seconds=10
concurrency=32
build=yes
while (($#)); do
  case $1 in
    --no-build) build=no ;;
    --seconds) seconds=$2; shift ;;
    --concurrency) concurrency=$2; shift ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
chatward=${CHATWARD:-$root/target/dist/chatward}
load=$here/target/release/load
mock=$here/target/release/mock-provider

work=$(mktemp -d)
started=()
finish() {
  local pid
  for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

if [[ $build == yes ]]; then
  (cd "$root" && nice -n 19 cargo build --locked --profile dist --package chatward-server --bin chatward)
  (cd "$here" && nice -n 19 cargo build --locked --release)
fi

start() { # NAME COMMAND…: waits for its one line of JSON; sets `pid` and `line`.
  local name=$1
  shift
  mkfifo "$work/$name.ready"
  "$@" >"$work/$name.ready" 2>"$work/$name.log" &
  pid=$!
  started+=("$pid")
  read -r -t 60 line <"$work/$name.ready" || { tail -n 20 "$work/$name.log" >&2; exit 1; }
}
member() { sed -n "s/.*\"$1\":[[:space:]]*\"\([^\"]*\)\".*/\1/p" <<<"$2"; } # NAME JSON
value() { tr '\t' '\n' <<<"$2" | sed -n "s/^$1=//p"; }                      # NAME LINE

start mock "$mock" --listen 127.0.0.1:0
provider=$(member listening "$line")
start demo "$chatward" demo --json --data "$work/data" --listen 127.0.0.1:0 --sample-listen 127.0.0.1:0
site=$(member site "$line")
origin=$(member sample "$line")
origin=${origin%/}
kill -TERM "$pid"
wait "$pid" || true
cat >"$work/serve.toml" <<CONFIG
data_dir = "$work/data"
[server]
max_connections = 20000
max_connections_per_address = 20000
trusted_proxies = ["127.0.0.0/8"]
client_address_header = "x-forwarded-for"
[admin]
listen = "off"
[accounts]
password_workers = 1
[limits]
per_minute = 1000000
per_hour = 100000000
api_requests = 1000000
tighten_above = 1000000
[budgets]
site_daily_usd = 1000000.0
installation_daily_usd = 1000000.0
concurrent_calls = 8192
[messages]
max_conversation = 10000
[logging]
level = "error"
[[providers]]
name = "mock"
kind = "openai-compatible"
base_url = "$provider/v1"
model = "bench"
input_usd_per_million = 0.15
output_usd_per_million = 0.60
CONFIG
start serve "$chatward" serve --json --config "$work/serve.toml" --listen 127.0.0.1:0
url=$(member listening "$line")
chat() { # OPTIONS…
  "$load" answers --url "$url" --site "$site" --origin "$origin" --concurrency "$concurrency" --sessions 2000 \
    --warm-up 2 --seconds "$seconds" --expect "mock provider" "$@"
}

full=$(chat)
half=$(($(value per_second "$full") / 2))
alone=$(chat --rate "$half")
"$load" logins --url "$url" --concurrency 16 --warm-up 1 --seconds $((seconds + 6)) --status 401 --busy 503 \
  --expect login_failed --pid "$pid" >"$work/storm" &
storm=$!
sleep 1
during=$(chat --rate "$half")
wait "$storm"
attempts=$(cat "$work/storm")

printf '%-28s %12s %10s %10s\n' "" "answers/s" "p50 µs" "p99 µs"
printf '%-28s %12s %10s %10s\n' "as fast as it can" "$(value per_second "$full")" "$(value p50_us "$full")" "$(value p99_us "$full")"
printf '%-28s %12s %10s %10s\n' "half of that, alone" "$(value per_second "$alone")" "$(value p50_us "$alone")" "$(value p99_us "$alone")"
printf '%-28s %12s %10s %10s\n' "half of that, in the storm" "$(value per_second "$during")" "$(value p50_us "$during")" "$(value p99_us "$during")"
awk "BEGIN { printf \"p99 in the storm: %.2f times the p99 alone\n\", $(value p99_us "$during") / $(value p99_us "$alone") }"
echo "Attempts: $(value per_second "$attempts") a second, of $(value requests "$attempts") in all $(value turned_away "$attempts") were turned away (503)."

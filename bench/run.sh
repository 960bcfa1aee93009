#!/usr/bin/env bash
# Measures Chatward beside a direct connection and a bare nginx proxy, all before the same mock provider, and prints a
# table. Everything listens on free loopback ports and writes to a temporary folder; only what this script started is
# stopped at the end.
#
# Usage: bench/run.sh [--no-build] [--seconds N] [--concurrency N] [--rounds N]
#   --rounds N               how often nginx and Chatward are measured, one right after the other (3)
#   SERVER_CORE, LOAD_CORE   which core the measured server has to itself, and which one everything else shares (0, 1)
#   CHATWARD                 a built program instead of target/dist/chatward
#   BENCH_POSTGRES_URL       a postgres:// address of an empty database: measures that as well
#
# Needs: cargo, curl, taskset, and nginx for its row. CPU time is read from /proc, so a busy load generator does not
# distort it; requests a second and the percentiles are those of a machine that also runs the load and the provider.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
seconds=8
concurrency=32
rounds=3
build=yes
while (($#)); do
  case $1 in
    --no-build) build=no ;;
    --seconds) seconds=$2; shift ;;
    --concurrency) concurrency=$2; shift ;;
    --rounds) rounds=$2; shift ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done
server_core=${SERVER_CORE:-0}
load_core=${LOAD_CORE:-1}
chatward=${CHATWARD:-$root/target/dist/chatward}
load=$here/target/release/load
mock=$here/target/release/mock-provider

work=$(mktemp -d)
started=()
stop() { # PID: asks it to end, waits, and insists after ten seconds
  kill -TERM "$1" 2>/dev/null || return 0
  for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null || true
}
finish() {
  for pid in "${started[@]}"; do stop "$pid"; done
  rm -rf "$work"
}
trap finish EXIT

if [[ $build == yes ]]; then
  (cd "$root" && nice -n 19 cargo build --locked --profile dist --package chatward-server --bin chatward)
  (cd "$here" && nice -n 19 cargo build --locked --release)
fi
[[ -x $chatward ]] || { echo "there is no $chatward; leave out --no-build" >&2; exit 2; }

# start NAME CORE COMMAND…: runs it, waits for its one line of JSON; sets `pid`, `line` and `start_ms`.
start() {
  local name=$1 core=$2 began
  shift 2
  rm -f "$work/$name.ready"
  mkfifo "$work/$name.ready"
  began=$(date +%s%N)
  taskset -c "$core" "$@" >"$work/$name.ready" 2>"$work/$name.log" &
  pid=$!
  started+=("$pid")
  if ! read -r -t 60 line <"$work/$name.ready"; then
    echo "$name did not start:" >&2
    tail -n 20 "$work/$name.log" >&2
    exit 1
  fi
  start_ms=$((($(date +%s%N) - began) / 1000000))
}
member() { sed -n "s/.*\"$1\":[[:space:]]*\"\([^\"]*\)\".*/\1/p" <<<"$2"; } # NAME JSON
value() { tr '\t' '\n' <<<"$2" | sed -n "s/^$1=//p"; }                      # NAME LINE
measure() { taskset -c "$load_core" "$load" "$@" --seconds "$seconds" --warm-up 2 --expect "${expect:-mock provider}"; }
resident() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }
mib() { awk "BEGIN { printf \"%.1f MB\", $1 * 1024 / 1000000 }"; }
row() { printf '%-42s %10s %9s %9s %12s %8s %10s\n' "$@"; }
row_of() { # LABEL LINE [RATIO]; without a process to look at there is no CPU time and no memory
  local cpu memory=-
  cpu=$(value cpu_us "$2")
  if [[ $(value rss_kib "$2") == 0 ]]; then cpu=-; else memory=$(mib "$(value rss_kib "$2")"); fi
  row "$1" "$(value per_second "$2")" "$(value p50_us "$2")" "$(value p99_us "$2")" "$cpu" "${3:--}" "$memory"
}
# middle NAME LINE…: the line whose value is the median.
middle() {
  local name=$1 each
  shift
  for each in "$@"; do printf '%s\t%s\n' "$(value "$name" "$each")" "$each"; done | sort -n | sed -n "$((($# + 1) / 2))p" | cut -f 2-
}
# ratios A… B…: each of the first half divided by the one beside it in the second; the median, lowest and highest.
ratios() {
  local half=$(($# / 2)) i all=()
  for ((i = 1; i <= half; i++)); do
    all+=("$(awk "BEGIN { printf \"%.2f\", $(value cpu_us "${!i}") / $(value cpu_us "${@:half + i:1}") }")")
  done
  printf '%s\n' "${all[@]}" | sort -n | awk '{ a[NR] = $1 } END { printf "%.1f (%.1f to %.1f)", a[int((NR + 1) / 2)], a[1], a[NR] }'
}

configure() { # FILE DATA PROVIDER
  cat >"$1" <<CONFIG
data_dir = "$2"
[server]
max_connections = 20000
max_connections_per_address = 20000
[admin]
listen = "off"
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
level = "warn"
[[providers]]
name = "mock"
kind = "openai-compatible"
base_url = "$3"
model = "bench"
input_usd_per_million = 0.15
output_usd_per_million = 0.60
first_byte_deadline = "5m"
CONFIG
}

# prepare DATA: a demo crawls its sample shop into DATA and is stopped; sets `site` and `origin`.
prepare() {
  start demo "$load_core" "$chatward" demo --json --data "$1" --listen 127.0.0.1:0 --sample-listen 127.0.0.1:0
  site=$(member site "$line")
  origin=$(member sample "$line")
  origin=${origin%/}
  stop "$pid"
}

start mock "$load_core" "$mock" --listen 127.0.0.1:0
mock_pid=$pid
provider=$(member listening "$line")

# Direct: what a call costs without anything in between.
direct=$(measure direct --url "$provider/v1/chat/completions" --concurrency "$concurrency")
direct_stream=$(measure direct --url "$provider/v1/chat/completions" --concurrency "$concurrency" --stream yes)
direct_first=$(measure direct --url "$provider/v1/chat/completions" --concurrency 1 --stream yes)

# nginx as a plain proxy with kept connections and no log.
nginx=
if command -v nginx >/dev/null; then
  mkdir -p "$work/nginx"
  port=0
  for candidate in $(seq 18080 18180); do
    (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || { port=$candidate; break; }
  done
  cat >"$work/nginx/nginx.conf" <<CONFIG
worker_processes 1;
daemon off;
pid $work/nginx/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path $work/nginx/body;
  proxy_temp_path $work/nginx/proxy;
  fastcgi_temp_path $work/nginx/fastcgi;
  uwsgi_temp_path $work/nginx/uwsgi;
  scgi_temp_path $work/nginx/scgi;
  keepalive_requests 100000000;
  upstream provider { server ${provider#http://}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:$port;
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
CONFIG
  taskset -c "$server_core" nginx -p "$work/nginx" -c "$work/nginx/nginx.conf" 2>"$work/nginx.log" &
  nginx_pid=$!
  started+=("$nginx_pid")
  for _ in $(seq 100); do
    curl --silent --output /dev/null "http://127.0.0.1:$port/count" && break
    sleep 0.1
  done
  worker=$(cat "/proc/$nginx_pid/task/$nginx_pid/children")
  worker=${worker%% *}
  nginx=http://127.0.0.1:$port/v1/chat/completions
fi
# Its lines, for the medians at the end.
nginx_whole=()
nginx_stream=()

# wait_silently [OPTION…]: a server of its own with a thousand answers that wait on a silent provider; sets `waited`.
wait_silently() {
  start serve "$server_core" "$chatward" serve --json --config "$work/serve.toml" --listen 127.0.0.1:0
  waited=$(taskset -c "$load_core" "$load" idle --url "$(member listening "$line")" --site "$site" --origin "$origin" \
    --provider "$provider" --count 1000 --pid "$pid" "$@")
  stop "$pid"
}

# ours LABEL DATA: the measurements of one database.
ours() {
  configure "$work/serve.toml" "$2" "$provider/v1"
  start serve "$server_core" "$chatward" serve --json --config "$work/serve.toml" --listen 127.0.0.1:0
  url=$(member listening "$line")
  began_ms=$start_ms
  sleep 1
  idle_kib=$(resident "$pid")
  local at=(--url "$url" --site "$site" --origin "$origin" --pid "$pid")
  local whole=() stream=() beside=() beside_stream=() ratio=- ratio_stream=-
  for _ in $(seq "$rounds"); do
    if [[ -n $nginx ]]; then
      beside+=("$(measure direct --url "$nginx" --concurrency "$concurrency" --pid "$worker")")
    fi
    whole+=("$(measure answers "${at[@]}" --concurrency "$concurrency" --sessions 4000)")
    if [[ -n $nginx ]]; then
      beside_stream+=("$(measure direct --url "$nginx" --concurrency "$concurrency" --stream yes --pid "$worker")")
    fi
    stream+=("$(measure answers "${at[@]}" --concurrency "$concurrency" --sessions 2000 --stream yes)")
  done
  if [[ -n $nginx ]]; then
    ratio=$(ratios "${whole[@]}" "${beside[@]}")
    # A whole answer of nginx is the yardstick of both.
    ratio_stream=$(ratios "${stream[@]}" "${beside[@]}")
    nginx_whole+=("${beside[@]}")
    nginx_stream+=("${beside_stream[@]}")
  fi
  first=$(measure answers "${at[@]}" --concurrency 1 --sessions 50 --stream yes)
  stop "$pid"
  configure "$work/serve.toml" "$2" "$provider/silent/v1"
  local waiting waiting_whole
  wait_silently
  waiting=$waited
  wait_silently --whole yes
  waiting_whole=$waited
  row_of "$1, whole answer" "$(middle cpu_us "${whole[@]}")" "${ratio%% *}"
  row_of "$1, 64 chunks streamed" "$(middle cpu_us "${stream[@]}")" "${ratio_stream%% *}"
  facts+="$1: CPU time of $rounds rounds as multiples of what nginx took for a whole answer right before: whole $ratio, 64 chunks $ratio_stream"$'\n'
  facts+="$1: start to ready $began_ms ms; idle $(mib "$idle_kib"); 1,000 answers waiting $(mib "$(value rss_kib "$waiting")")"
  facts+=" (asked for whole $(mib "$(value rss_kib "$waiting_whole")"), before $(mib "$(value rss_before_kib "$waiting")"), when the last had come $(mib "$(value rss_at_once_kib "$waiting")")); first chunk p50 $(value first_p50_us "$first") µs, p99"
  facts+=" $(value first_p99_us "$first") µs (direct $(value first_p50_us "$direct_first"), $(value first_p99_us "$direct_first"))"$'\n'
}

facts=
echo
echo "Server alone on core $server_core; load and provider on core $load_core; $concurrency connections, $rounds rounds of $seconds s; $(nproc) cores"
echo
row "" "answers/s" "p50 µs" "p99 µs" "CPU µs each" "x nginx" "memory"
row_of "direct, whole answer" "$direct"
row_of "direct, 64 chunks streamed" "$direct_stream"
prepare "$work/sqlite"
ours "Chatward on SQLite" "$work/sqlite"
if [[ -n ${BENCH_POSTGRES_URL:-} ]]; then
  export DATABASE_URL=$BENCH_POSTGRES_URL
  prepare "$work/postgres"
  ours "Chatward on PostgreSQL" "$work/postgres"
fi
if [[ -n $nginx ]]; then
  row_of "nginx as a proxy, whole answer" "$(middle cpu_us "${nginx_whole[@]}")" 1
  row_of "nginx as a proxy, 64 chunks" "$(middle cpu_us "${nginx_stream[@]}")"
  stop "$nginx_pid"
fi
echo
printf '%s' "$facts"
echo "Each of Chatward's answers stores two messages durably and passes every limit and budget."
echo "The mock provider itself used $(mib "$(resident "$mock_pid")")."

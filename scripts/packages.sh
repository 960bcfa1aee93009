# shellcheck shell=bash
# What ./check needs from the system: finds what is missing, says so, and installs it where it may.
# Sourced, never run. Uses apt-get only when something is missing, as root or by sudo without a password.

MISSING=()

# need WHAT PACKAGE…: notes the packages unless the test command after `--` succeeds.
need() {
  local packages=()
  while [[ $1 != -- ]]; do
    packages+=("$1")
    shift
  done
  shift
  "$@" >/dev/null 2>&1 || MISSING+=("${packages[@]}")
}

has_postgres() {
  command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'
}

# The browser to test in: CHATWARD_CHROMIUM if set, else what is installed; exported for the browser tests.
has_chromium() {
  local found
  found=${CHATWARD_CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)} || return 1
  export CHATWARD_CHROMIUM=$found
  command -v "$found"
}

# The oldest Node.js that the browser tests' own manifest accepts.
oldest_node() {
  sed -n 's/.*"node": *">=\([0-9]*\).*/\1/p' ui/tests/package.json
}

# find_missing KIND: fills MISSING with the packages for what a kind of check uses and the system lacks.
find_missing() {
  MISSING=()
  need build-essential -- command -v cc
  need git -- command -v git
  need postgresql -- has_postgres
  [[ $1 == prove ]] || need shellcheck -- command -v shellcheck
  if [[ $1 != quick ]]; then
    need chromium chromium-sandbox -- has_chromium
    need nodejs -- command -v node
    need npm -- command -v npm
  fi
}

packages_for() {
  find_missing "$1"
  if ((${#MISSING[@]})); then
    install_packages "${MISSING[@]}"
    find_missing "$1"
    ((${#MISSING[@]} == 0)) || die "installed, but still not found: ${MISSING[*]}"
  fi

  cargo fmt --version >/dev/null 2>&1 || die "rustfmt is missing; run: rustup component add rustfmt"
  cargo clippy --version >/dev/null 2>&1 || die "clippy is missing; run: rustup component add clippy"
  if [[ $1 != quick ]]; then
    local version oldest
    version=$(node --version)
    version=${version#v}
    oldest=$(oldest_node)
    ((${version%%.*} >= ${oldest:-18})) ||
      die "the browser tests need Node.js ${oldest:-18} or later, here is $version; see https://nodejs.org/en/download"
  fi
}

install_packages() {
  local how=()
  if ((EUID != 0)); then
    how=(sudo -n)
    sudo -n true 2>/dev/null || die "missing packages, and no root or sudo here; run: sudo apt-get install $*"
  fi
  command -v apt-get >/dev/null || die "missing programs and no apt-get here; install the equivalents of: $*"
  say "==> installing by apt-get: $*"
  local log=$LOGS/apt.log
  if ! {
    "${how[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 update &&
      "${how[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y \
        --no-install-recommends "$@"
  } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get could not install: $* (the whole output is in ${log#"$ROOT"/})"
  fi
}

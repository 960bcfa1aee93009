# shellcheck shell=bash
# Shows that the tests of a control notice when its protection is gone: each patch of controls/breaks is applied to a
# scratch copy, and every test that controls.toml names must turn red under one of its control's patches.
# Sourced, never run. A patch that does not compile or makes a test hang proves nothing, nor does a test that is red
# without it. The copy and its build stay in target/prove, so that the next proof is quick.

SCRATCH=$ROOT/target/prove/tree
export GIT_CEILING_DIRECTORIES=$ROOT/target/prove

# catalogue_lines < controls.toml: prints id, key and item, tab-separated, for tests and breaks.
catalogue_lines() {
  awk '
    function items(text) {
      while (match(text, /"([^"\\]|\\.)*"/)) {
        item = substr(text, RSTART + 1, RLENGTH - 2)
        text = substr(text, RSTART + RLENGTH)
        gsub(/\\"/, "\"", item)
        print id "\t" key "\t" item
      }
    }
    /^id = / { split($0, parts, "\""); id = parts[2]; open = 0 }
    /^(tests|breaks) = / { key = $1; sub(/^[a-z]+ = /, ""); open = /^\[/ && !/\][ \t]*$/; items($0); next }
    open && /^\]/ { open = 0 }
    open { items($0) }
  '
}

# source_of TEST: the file in which a named test most likely stands, for telling what changed.
source_of() {
  local test=$1 crate modules path
  if [[ $test == ui/* ]]; then
    say "${test%%::*}"
    return
  fi
  crate=${test%%::*} modules=${test#*::}
  while [[ $modules == *::* ]]; do
    modules=${modules%::*}
    for path in "crates/$crate/tests/${modules//:://}" "crates/$crate/src/${modules//:://}"; do
      if [[ -e $path.rs ]]; then say "$path.rs"; return; fi
    done
  done
  say "crates/$crate/src/lib.rs"
}

# The ids of the controls whose entry, patch, patched files or tests differ from where this branch began.
changed_controls() {
  local base changed old new id
  base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null || git rev-parse HEAD)
  changed=$(git diff --name-only "$base" && git ls-files --others --exclude-standard)
  old=$(git show "$base:controls.toml" 2>/dev/null | catalogue_lines)
  new=$(catalogue_lines <controls.toml)
  while read -r id; do
    if [[ $(grep "^$id"$'\t' <<<"$old") != $(grep "^$id"$'\t' <<<"$new") ]] ||
      files_of "$id" | grep -xF -f <(printf '%s\n' "$changed") >/dev/null; then
      say "$id"
    fi
  done < <(cut -f1 <<<"$new" | sort -u)
}

files_of() {
  local key item
  while IFS=$'\t' read -r _ key item; do
    if [[ $key == breaks ]]; then
      say "controls/breaks/$item"
      sed -n 's|^+++ b/||p' "controls/breaks/$item"
    else
      source_of "$item"
    fi
  done < <(grep "^$1"$'\t' < <(catalogue_lines <controls.toml))
}

# Brings the scratch copy to the state of the work tree, touching only what differs, so that builds stay incremental.
refresh_scratch() {
  local path
  mkdir -p "$SCRATCH"
  git ls-files -z --cached --others --exclude-standard >"$WORK/files"
  while IFS= read -r -d '' path; do
    [[ -f $path ]] || continue
    cmp -s -- "$path" "$SCRATCH/$path" && continue
    mkdir -p "$SCRATCH/$(dirname "$path")"
    cp -- "$path" "$SCRATCH/$path"
  done <"$WORK/files"
  (cd "$SCRATCH" && find . -type f -not -path './ui/tests/node_modules/*' -printf '%P\0') |
    sort -z >"$WORK/present"
  while IFS= read -r -d '' path; do
    [[ -f $path ]] || rm -f -- "$SCRATCH/$path"
  done <"$WORK/present"
  if [[ -d ui/tests/node_modules ]]; then ln -sfn "$ROOT/ui/tests/node_modules" "$SCRATCH/ui/tests/node_modules"; fi
}

# in_scratch COMMAND…: runs at the copy's root with the proofs' own target folder.
in_scratch() {
  (
    cd "$SCRATCH" || exit
    CARGO_TARGET_DIR=$ROOT/target/prove/target CARGO_PROFILE_DEV_DEBUG=0 timeout 900 "$@"
  ) </dev/null
}

# Where cargo finds a named test: prints the package, the selection of its binary, and its name inside it.
place_of() {
  local crate=${1%%::*} rest=${1#*::} binary
  binary=${rest%%::*}
  if [[ -e crates/$crate/tests/$binary.rs || -d crates/$crate/tests/$binary ]]; then
    say "chatward-$crate"$'\t'"--test $binary"$'\t'"${rest#*::}"
  else
    say "chatward-$crate"$'\t'"--lib"$'\t'"$rest"
  fi
}

# outcome_of TEST: prints green, red, or why it is neither.
outcome_of() {
  local test=$1 log=$WORK/outcome.log package selection name
  if [[ $test == ui/* ]]; then
    in_scratch cargo build --package chatward-server --locked >"$log" 2>&1 || { say "does not compile"; return; }
    (
      cd "$SCRATCH/ui/tests" || exit
      CHATWARD_BIN=$ROOT/target/prove/target/debug/chatward timeout 300 node --test --test-reporter=tap \
        "$(basename "${test%%::*}")"
    ) >"$log" 2>&1 </dev/null || true
    TITLE=${test#*::} awk '
      { sub(/^ +/, "") }
      /# SKIP|# TODO/ { next }
      /^(not )?ok [0-9]+ - / { red = /^not/; sub(/^(not )?ok [0-9]+ - /, ""); if ($0 == ENVIRON["TITLE"]) { print red ? "red" : "green"; found = 1; exit } }
      END { if (!found) print "was not run" }
    ' "$log"
    return
  fi
  IFS=$'\t' read -r package selection name < <(place_of "$test")
  # shellcheck disable=SC2086  # the selection is one word or two
  in_scratch cargo test --locked --no-run --package "$package" $selection >"$log" 2>&1 ||
    { say "does not compile"; return; }
  # shellcheck disable=SC2086
  in_scratch timeout 300 cargo test --locked --package "$package" $selection -- --exact "$name" >"$log" 2>&1 || true
  awk -v name="$name" '
    $1 == "test" && $2 == name && / ok$/ { print "green"; found = 1; exit }
    $1 == "test" && $2 == name && / FAILED$/ { print "red"; found = 1; exit }
    END { if (!found) print "was not run to its end" }
  ' "$log"
}

# prove_control ID: its tests green as things stand, each patch turning some red, and none left green by all of them.
prove_control() {
  local id=$1 lines tests patches test patch outcome red=() good=0
  lines=$(grep "^$id"$'\t' < <(catalogue_lines <controls.toml)) || { say "  $id is not kept: nothing to prove"; return 1; }
  mapfile -t tests < <(awk -F'\t' '$2 == "tests" { print $3 }' <<<"$lines")
  mapfile -t patches < <(awk -F'\t' '$2 == "breaks" { print $3 }' <<<"$lines")
  for test in "${tests[@]}"; do
    outcome=$(outcome_of "$test")
    if [[ $outcome != green ]]; then
      say "  $id: unbroken, $test: $outcome"
      tail -n 30 "$WORK/outcome.log"
      return 1
    fi
  done
  for patch in "${patches[@]}"; do
    if ! (cd "$SCRATCH" && git apply "$ROOT/controls/breaks/$patch"); then
      say "  $id: $patch does not apply"
      return 1
    fi
    local reddened=0
    for test in "${tests[@]}"; do
      outcome=$(outcome_of "$test")
      say "  $patch: $test: $outcome"
      if [[ $outcome == red ]]; then
        reddened=1
        red+=("$test")
      fi
    done
    (cd "$SCRATCH" && git apply --reverse "$ROOT/controls/breaks/$patch")
    if ((reddened == 0)); then
      say "  $id: no test notices $patch"
      good=1
    fi
  done
  for test in "${tests[@]}"; do
    if ! grep -qxF -- "$test" < <(printf '%s\n' "${red[@]}"); then
      say "  $id: no patch turns $test red (list it under \`also\`, or add a break)"
      good=1
    fi
  done
  return "$good"
}

prove() {
  local ids=("$@") id
  if ((${#ids[@]} == 0)); then
    mapfile -t ids < <(changed_controls)
    if ((${#ids[@]} == 0)); then ids=(all); fi
  fi
  if [[ ${ids[0]} == all ]]; then mapfile -t ids < <(catalogue_lines <controls.toml | cut -f1 | sort -u); fi
  say "==> proving ${#ids[@]} control(s): ${ids[*]:-none is kept}"
  ((${#ids[@]})) || return 0
  start_postgres
  if grep -qE "^($(IFS='|'; say "${ids[*]}"))"$'\ttests\tui/' < <(catalogue_lines <controls.toml); then
    # Not again if it is up to date: others may be using it.
    if [[ ! ui/tests/node_modules/.package-lock.json -nt ui/tests/package-lock.json ]]; then
      (cd ui/tests && npm ci --no-audit --no-fund >/dev/null) || die "npm ci failed in ui/tests"
    fi
  fi
  # Two proofs in one copy would each test the other's patch.
  mkdir -p target/prove
  exec 9>target/prove/lock
  if ! flock -n 9; then
    say "==> waiting for another proof in this copy to end"
    flock 9
  fi
  refresh_scratch
  for id in "${ids[@]}"; do
    attempt "$id" prove_control "$id"
    ((STEP_STATUS == 0)) || refresh_scratch
  done
  ((FAILED == 0)) || exit 1
}

# shellcheck shell=bash
# The files that are made from the code: written anew by `./check generate`, compared by `./check`.
# Sourced, never run. To add one, write it in `generate_into` and name it in GENERATED; a folder that holds nothing else
# goes into GENERATED_FOLDERS. Needs the packages of ui/tests (`browser_packages`), whose bundler makes ui/dist.

GENERATED=(docs/openapi.json docs/configuration.md docs/controls.md chatward.example.toml)
GENERATED_FOLDERS=(ui/dist)

# generate_into FOLDER: writes every generated file below it.
generate_into() {
  local folder=$1 program=target/debug/chatward
  mkdir -p "$folder/docs"
  node ui/build.mjs "$folder/ui/dist" || return 1
  # The same selection as the tests' keeps cargo from building the dependencies a second time with fewer features; it
  # builds the program as well.
  CHATWARD_GENERATE=$folder cargo test --quiet --workspace --locked --test house is_up_to_date >/dev/null &&
    "$program" openapi >"$folder/docs/openapi.json" &&
    "$program" config reference >"$folder/docs/configuration.md" &&
    "$program" config example >"$folder/chatward.example.toml"
}

# Rewrites the files of the work tree; nothing is touched unless all could be made.
generate() {
  local path
  browser_packages >/dev/null || die "npm ci failed in ui/tests"
  generate_into "$WORK/generated" || die "the files could not be generated"
  for path in "${GENERATED_FOLDERS[@]}"; do
    diff -rq "$WORK/generated/$path" "$path" >/dev/null 2>&1 && continue
    rm -rf "$path"
    cp -r "$WORK/generated/$path" "$path"
    say "wrote $path"
  done
  for path in "${GENERATED[@]}"; do
    cmp -s "$WORK/generated/$path" "$path" && continue
    mkdir -p "$(dirname "$path")"
    cp "$WORK/generated/$path" "$path"
    say "wrote $path"
  done
}

# Fails with the difference if a file is not what the code says.
compare_generated() {
  local path status=0
  generate_into "$WORK/generated" || return 1
  for path in "${GENERATED[@]}"; do
    diff -u "$path" "$WORK/generated/$path" || status=1
  done
  # A bundle is one long line: what differs is named, not shown.
  for path in "${GENERATED_FOLDERS[@]}"; do
    diff -rq "$path" "$WORK/generated/$path" || status=1
  done
  if ((status)); then say "run ./check generate and commit the result"; fi
  return "$status"
}

# shellcheck shell=bash
# The files that are made from the code: written anew by `./check generate`, compared by `./check`.
# Sourced, never run. To add one, write it in `generate_into` and name it in GENERATED.

GENERATED=(docs/openapi.json docs/configuration.md docs/controls.md chatward.example.toml)

# generate_into FOLDER: writes every generated file below it.
generate_into() {
  local folder=$1 program=target/debug/chatward
  mkdir -p "$folder/docs"
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
  generate_into "$WORK/generated" || die "the files could not be generated"
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
  if ((status)); then say "run ./check generate and commit the result"; fi
  return "$status"
}

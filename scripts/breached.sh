#!/usr/bin/env bash
# Makes crates/server/src/ops/breached_passwords.txt: passwords that were found in breaches, sorted for a binary search.
#
#   scripts/breached.sh VERSION    fetches @zxcvbn-ts/language-common of that version from npm and writes the list
#
# The package is MIT; its licence line is copied into the list's head. Needs npm, node and a network; nothing else does.

set -euo pipefail
export LC_ALL=C

version=${1:?scripts/breached.sh VERSION}
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

cd "$folder"
package=$(npm pack --silent "@zxcvbn-ts/language-common@$version")
tar xzf "$package"
{
  printf '# Passwords found in breaches: the frequency list of the npm package @zxcvbn-ts/language-common %s, sorted by bytes.\n' "$version"
  printf '# Made by scripts/breached.sh. MIT licence; %s;\n' "$(sed -n 1p package/LICENSE.txt)"
  printf '# %s. The licence itself stands in breached_passwords.LICENSE.\n\n' "$(sed -n 2p package/LICENSE.txt)"
  # Lower case as they are compared; what is shorter than four characters, no policy takes.
  node -e 'for (const word of require("./package/src/passwords.json")) console.log(word.toLowerCase())' |
    grep -E '^[!-~]{4,64}$' | sort -u
} >"$root/crates/server/src/ops/breached_passwords.txt"
cp package/LICENSE.txt "$root/crates/server/src/ops/breached_passwords.LICENSE"
wc -l "$root/crates/server/src/ops/breached_passwords.txt"

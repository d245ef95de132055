#!/usr/bin/env bash
# results.sh [--check] [PONDER]: writes the tables of README.md and docs/RESULTS.md again from the rows in bench/results; --check only
# says whether they are as the rows have them.  A table stands between `<!-- table: FILES -->` and `<!-- end -->`; FILES are
# result files of ponder eval, packed by gzip, patterns allowed.
# Not a run: bench/study.sh, and docs/RESULTS.md says which.
# Next: docs/RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/.."
check=
[ "${1:-}" != --check ] || { check=yes; shift; }
ponder=${1:-build/ponder}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

table() { # FILES...: of the rows, in the order of policies, searches and budgets
    local file plain=()
    for file in "$@"; do
        [ -e "$file" ] || { echo "results: $file is not there" >&2; return 1; }
        plain+=("$folder/$(basename "$file" .gz)")
        gzip -dc "$file" >"${plain[-1]}"
    done
    "$ponder" plot --table "${plain[@]}"
}
code=0
for page in README.md docs/RESULTS.md; do
    skip=
    while IFS= read -r line; do
        [ "$line" != '<!-- end -->' ] || { skip=; echo; }
        [ -n "$skip" ] || printf '%s\n' "$line"
        case $line in '<!-- table: '*' -->')
            files=${line#'<!-- table: '}
            echo
            # shellcheck disable=SC2046,SC2086
            table $(ls -v ${files%' -->'})
            skip=yes
            ;;
        esac
    done <"$page" >"$folder/page"
    cmp -s "$folder/page" "$page" && continue
    if [ -n "$check" ]; then echo "results: $page is not what the rows say; make results" >&2; code=1; else cp "$folder/page" "$page"; fi
done
exit $code

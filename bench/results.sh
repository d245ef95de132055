#!/usr/bin/env bash
# results.sh [--check] [PONDER]: writes the tables of README.md and docs/RESULTS.md again from the rows in bench/results; --check only
# says whether they are as the rows have them.  A table of runs stands between `<!-- table: FILES -->` and `<!-- end -->`, a comparison
# between `<!-- compare: A B -->` and that, fields of other JSON lines between `<!-- fields: FILE NAME... -->` and that; FILES are result files of ponder eval, packed by gzip, in
# bench/results; patterns are allowed.
# Not a run: bench/study.sh, and docs/RESULTS.md says which.
# Next: docs/RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/.."
check=
[ "${1:-}" != --check ] || { check=yes; shift; }
ponder=${1:-build/ponder}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# unpack FILES...: their plain copies in `plain`, in the order of policies, searches and budgets.
unpack() {
    local file
    plain=()
    for file in "$@"; do
        plain+=("$folder/$(basename "$file" .gz)")
        gzip -dc "bench/results/$file" >"${plain[-1]}"
    done
}
# fields FILE NAME...: of the lines that have them all.
fields() {
    local file=bench/results/$1
    shift
    printf '| %s ' "$@" && printf '|\n|' && printf -- '---:|%.0s' "$@" && echo
    jq -r 'select([has($ARGS.positional[])] | all) | [.[$ARGS.positional[]] | if type == "number" then (. * 10000 | round) / 10000 else . end |
        tostring] | "| " + join(" | ") + " |"' "$file" --args "$@"
}
code=0
for page in README.md docs/RESULTS.md; do
    skip=
    while IFS= read -r line; do
        [ "$line" != '<!-- end -->' ] || { skip=; echo; }
        [ -n "$skip" ] || printf '%s\n' "$line"
        case $line in '<!-- table: '* | '<!-- compare: '* | '<!-- fields: '*) ;; *) continue ;; esac
        files=${line#*: }
        files=${files%' -->'}
        echo
        # shellcheck disable=SC2046,SC2086
        case $line in
        *table:*) unpack $(cd bench/results && ls -v $files) && "$ponder" plot --table "${plain[@]}" ;;
        *fields:*) fields $files ;;
        *) unpack $(cd bench/results && printf '%s\n' $files) && "$ponder" compare "${plain[@]}" | sed '1,2d; s/^\(.\)/    \1/' ;;
        esac
        skip=yes
    done <"$page" >"$folder/page"
    cmp -s "$folder/page" "$page" && continue
    if [ -n "$check" ]; then echo "results: $page is not what the rows say; make results" >&2; code=1; else cp "$folder/page" "$page"; fi
done
exit $code

#!/usr/bin/env bash
# docs.sh: lines of the docs have at most 120 columns, and every page that a page links to is there.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
for page in README.md docs/*.md; do
    LC_ALL=C.UTF-8 awk -v page="$page" 'length > 120 { print page ":" NR ": " length " columns, at most 120"; bad = 1 } END { exit bad }' \
        "$page" >&2 || bad=1
    while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || { echo "$page links to $link, which is not there" >&2; bad=1; }
    done < <(grep -oE '\]\([^):#]+' "$page" | cut -c3- | sort -u)
done
exit $bad

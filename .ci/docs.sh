#!/usr/bin/env bash
# docs.sh: lines of the docs have at most 120 columns, and every page that a page links to is there.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C.UTF-8
bad=0
for page in README.md docs/*.md; do
    n=0
    while IFS= read -r line || [ -n "$line" ]; do
        n=$((n + 1))
        [ ${#line} -le 120 ] || { echo "$page:$n: ${#line} columns, at most 120" >&2; bad=1; }
    done <"$page"
    while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || { echo "$page links to $link, which is not there" >&2; bad=1; }
    done < <(grep -oE '\]\([^)#]+' "$page" | cut -c3- | grep -v '^[a-z]*:' | sort -u)
done
exit $bad

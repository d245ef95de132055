#!/usr/bin/env bash
# next.sh: every file that a "Next:" line names exists: beside the file that names it, or under a path from the root.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
while IFS=: read -r file line text; do
    for name in $(grep -oE '[A-Za-z0-9_./-]+\.(c|h|S|md|sh)\b' <<<"${text#*Next:}"); do
        [ -e "$(dirname "$file")/$name" ] || [ -e "$name" ] || {
            echo "$file:$line: Next: names $name, which is not there" >&2
            bad=1
        }
    done
done < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.S' | xargs grep -nH 'Next:')
exit $bad

#!/usr/bin/env bash
# next.sh: every file that a "Next:" line names exists: beside the file that names it, or under a path from the root.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
# lines "FILE:LINE:NAME"
while IFS=: read -r file line name; do
    [ -e "${file%/*}/$name" ] || [ -e "$name" ] || {
        echo "$file:$line: Next: names $name, which is not there" >&2
        bad=1
    }
done < <(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.S' '*.cpp' | xargs grep -nH 'Next:' |
    awk -F: '{ at = $1 ":" $2 ":"; sub(/.*Next:/, "")
               while (match($0, /[A-Za-z0-9_.\/-]+\.(c|h|S|md|sh)/)) {
                   name = substr($0, RSTART, RLENGTH); $0 = substr($0, RSTART + RLENGTH)
                   if ($0 !~ /^[A-Za-z0-9]/) print at name } }')
exit $bad

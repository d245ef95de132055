#!/usr/bin/env bash
# coverage.sh BUILD_FOLDER: branches that tests took at least once, of each file and of all, but for kernels and chat
# templates, from a build with --coverage whose tests have run (`make coverage`).  Assertions are not compiled in there.
# Not a test: nothing fails below a number.
# Next: tests/run.sh.
set -euo pipefail
B=${1:?usage: coverage.sh BUILD_FOLDER}
find "$B" -name '*.c.gcno' | grep -v "^$B/\(ops\|tests\|tokenizer/template\)/" | sort | while read -r note; do
    source=${note#"$B"/} source=${source%.gcno}
    gcov -b -n -o "$(dirname "$note")" "$note" 2>/dev/null |
        awk -F'[:% ]+' -v name="$source" '/^File/ { mine = $0 == "File \047" name "\047" }
            mine && /^Taken at least once/ { printf "%d %d %s\n", $5 * $7 / 100 + 0.5, $7, name }'
done | awk '{ taken += $1; all += $2; printf "%5.1f%% of %5d %s\n", 100 * $1 / $2, $2, $3 }
            END { printf "%5.1f%% of %5d branches in all\n", 100 * taken / all, all }'

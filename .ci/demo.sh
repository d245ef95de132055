#!/usr/bin/env bash
# demo.sh PONDER: the main job, on a few puzzles: first the model alone, then the model with search.
set -euo pipefail
for puzzle in "4 7 8 8" "3 3 8 8" "1 8 12 12"; do
    printf '\n== %s\n' "$puzzle"
    "$1" "$puzzle" || [ $? = 1 ] # 1: a wrong answer, which is shown like a right one
done

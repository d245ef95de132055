#!/usr/bin/env bash
# demo.sh PONDER: the main job, on puzzles of three tasks: first the model alone, then the model with search.  The text says the task.
set -euo pipefail
for puzzle in "4 7 8 8" "3 3 8 8" "8 : c e . h . g . ." "not ( True and False ) or ( not not False ) is"; do
    printf '\n== %s\n' "$puzzle"
    "$1" "$puzzle" || [ $? = 1 ] # 1: a wrong answer, which is shown like a right one
done

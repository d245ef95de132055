#!/usr/bin/env bash
# eval-tasks.sh FOLDER [N [THREADS]]: every task of ponder-policy, easy and hard, on N held-out problems (100), without a search and with;
# rows of every problem in FOLDER, then a table of all that is there.  It goes on where it was stopped.  PONDER, POLICY, PRM, TASKS and
# SEARCHES name others; INPUT is a folder of sets made elsewhere, TASK-LEVEL.jsonl, to be taken instead.
# Not a test: nothing here fails because a model is weak.
# Next: bench/train-tasks.sh, which makes the models; docs/RESULTS.md.
set -euo pipefail
folder=${1:?usage: bench/eval-tasks.sh FOLDER [N [THREADS]]} n=${2:-100} threads=${3:-$(nproc)}
ponder=${PONDER:-build/ponder} policy=${POLICY:-ponder-policy} prm=${PRM:-ponder-prm}
mkdir -p "$folder"
for spec in ${SEARCHES:-greedy:1 maj:16 bon:16 beam:16 mcts:64}; do
    for task in ${TASKS:-boolean_expressions multistep_arithmetic_two n_queens mini_sudoku kakurasu knights_knaves quantum_lock path_star countdown}; do
        for level in easy hard; do
            [ "$task.$level" != multistep_arithmetic_two.hard ] || continue # the published set has one level
            set=${INPUT:-$folder}/$task-$level.jsonl search=${spec%:*} budget=${spec#*:} judge=(--prm "$prm")
            [ -n "${INPUT:-}" ] || [ -s "$set" ] || "$ponder" generate --task "$task" $([ $level = easy ] || echo --hard) --held-out -n "$n" -s 4242 -o "$set" 2>/dev/null
            [ -s "$set" ] || continue
            case $search in greedy | maj) judge=() ;; esac
            file=$folder/$task.$level.$search.$budget.jsonl
            [ ! -s "$file.json" ] || continue
            "$ponder" eval -m "$policy" "${judge[@]}" --task "$task" -i "$set" --limit "$n" --search "$search" --budget "$budget" -t "$threads" \
                -o "$file" --json | tail -n 1 >"$file.part"
            mv "$file.part" "$file.json"
        done
    done
done
printf '| task | level | search | budget | right | 95%% interval | policy tokens | PRM tokens |\n|---|---|---|---:|---:|---:|---:|---:|\n'
for file in "$folder"/*.jsonl.json; do
    name=$(basename "$file" .jsonl.json)
    jq -r --arg level "$(cut -d. -f2 <<<"$name")" '"| \(.task) | \($level) | \(.search) | \(.budget) | \(.correct)/\(.n) | \(.ci95[0] * 1000 | round / 10)-\(.ci95[1] * 1000 | round / 10) | \(.generated_tokens / .n | round) | \(.prm_tokens / .n | round) |"' "$file"
done

#!/usr/bin/env bash
# eval-tasks.sh PONDER POLICY PRM|none [N]: accuracy of a policy on N held-out problems of each task and level, without search and with.
# Not the published sets: those come with --input FILE of ponder eval.
# Next: bench/train-tasks.sh, which makes the models.
set -euo pipefail
ponder=$1 policy=$2 prm=$3 n=${4:-100}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for task in countdown chain_sum basic_arithmetic multistep_arithmetic_two boolean_expressions n_queens path_star quantum_lock jugs \
    mini_sudoku futoshiki knights_knaves kakurasu; do
    for level in easy hard; do
        hard=()
        [ $level = easy ] || hard=(--hard)
        "$ponder" generate --task "$task" "${hard[@]}" --held-out -n "$n" --seed 4242 -o "$folder/set" 2>/dev/null
        searches=("greedy --search greedy" "maj16 --search maj --budget 16")
        [ "$prm" = none ] || searches+=("weighted16 --search weighted --budget 16" "mcts64 --search mcts --budget 64")
        for search in "${searches[@]}"; do
            # shellcheck disable=SC2086
            "$ponder" eval -m "$policy" --prm "$prm" --task "$task" --input "$folder/set" ${search#* } --json 2>/dev/null |
                tail -n 1 | jq -c --arg level "$level" --arg name "${search%% *}" '{task, level: $level, name: $name, n, correct, accuracy, ci95, policy_flops, prm_flops}'
        done
    done
done

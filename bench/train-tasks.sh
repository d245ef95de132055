#!/usr/bin/env bash
# train-tasks.sh PONDER [FOLDER [SIZE]]: one policy for all tasks of compact steps, its labels, and a reward model from them.
# Killed at any moment, the same command goes on.  Hours: `small` reads 48,000 tokens a second on two quiet cores, `base` 13,000.
# Not the shipped models of the numbers game: .ci/train.sh.
# Next: bench/eval-tasks.sh, which measures the result.
set -euo pipefail
ponder=$(realpath "$1")
work=${2:-build/train-tasks}
size=${3:-small}
tasks=countdown,game24,chain_sum,basic_arithmetic,multistep_arithmetic_two,boolean_expressions,n_queens,path_star,quantum_lock
tasks=$tasks,jugs,tower_of_hanoi,mini_sudoku,futoshiki,knights_knaves,kakurasu
mkdir -p "$work"
[ -f "$work/policy-$size.gguf" ] || "$ponder" train policy --task "$tasks" --hard 0.5 --size "$size" --steps 40000 --batch 128 --lr 3e-3 \
    --warmup 500 --explore 0.2 --seed 1 --out "$work/policy-$size.gguf" --log "$work/policy-$size.jsonl"
"$ponder" label -m "$work/policy-$size.gguf" --task "$tasks" --hard 0.5 --problems 30000 --chains 4 --max-rollouts 16 --seed 1 \
    --out "$work/labels-$size.jsonl"
[ -f "$work/prm-$size.gguf" ] || "$ponder" train prm --init "$work/policy-$size.gguf" --labels "$work/labels-$size.jsonl" --steps 6000 \
    --batch 128 --lr 1e-3 --warmup 200 --seed 1 --out "$work/prm-$size.gguf" --log "$work/prm-$size.jsonl"

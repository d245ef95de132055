#!/usr/bin/env bash
# train-tasks.sh PONDER [FOLDER [SIZE]]: one policy for nine tasks, ponder-policy of weights/, then labels of its chains and a reward
# model from them, which is not shipped yet: it picks worse than a vote (docs/RESULTS.md).  Killed at any moment, the same command
# goes on; any number of threads gives the same bytes.  `small` took 85 minutes on one busy core.  Not the shipped models of the numbers game: .ci/train.sh.
# Next: bench/eval-tasks.sh, which measures the result.
set -euo pipefail
ponder=$(realpath "$1")
work=${2:-build/train-tasks}
size=${3:-small}
tasks=boolean_expressions,n_queens,mini_sudoku,knights_knaves,quantum_lock,kakurasu,path_star,countdown,multistep_arithmetic_two
mkdir -p "$work"
cd "$work"
[ -f "policy-$size.gguf" ] || "$ponder" train policy --task "$tasks" --hard 0.3 --size "$size" --steps 8000 --batch 64 --lr 4e-3 \
    --warmup 150 --explore 0.1 --validation 256 --seed 1 --out "policy-$size.gguf" --log "policy-$size.jsonl"
"$ponder" label -m "policy-$size.gguf" --task "$tasks" --hard 0.3 --problems 16000 --chains 4 --max-rollouts 16 --seed 1 \
    --out "labels-$size.jsonl"
[ -f "prm-$size.gguf" ] || "$ponder" train prm --init "policy-$size.gguf" --labels "labels-$size.jsonl" --steps 4000 --batch 64 \
    --lr 3e-3 --warmup 150 --spoiled 0.2 --validation 512 --seed 1 --out "prm-$size.gguf" --log "prm-$size.jsonl"

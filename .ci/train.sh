#!/usr/bin/env bash
# train.sh PONDER [FOLDER]: remakes the shipped models from a seed: policy (two sizes), labels, reward model.  Killed at any moment,
# the same command goes on.  The models end up in weights/, the loss curves and times in bench/results/.
set -euo pipefail
ponder=$(realpath "$1")
cd "$(dirname "$0")/.."
work=${2:-build/train}
mkdir -p "$work" bench/results
timed() { # timed NAME COMMAND...: adds the seconds of this part (of its last start, if it was killed) to the log
    local start=$SECONDS
    "${@:2}"
    printf '{"part":"%s","seconds":%d,"threads":%d,"commit":"%s"}\n' "$1" $((SECONDS - start)) "$(nproc)" \
        "$("$ponder" --version | cut -d' ' -f2)" >>"$work/minutes.jsonl"
}

[ -f "$work/policy.gguf" ] || timed policy "$ponder" train policy --size base --steps 5000 --batch 128 --lr 2e-3 --seed 1 \
    --out "$work/policy.gguf" --log "$work/policy.jsonl"
[ -f "$work/small.gguf" ] || timed small "$ponder" train policy --size small --steps 3000 --batch 128 --lr 3e-3 --seed 1 \
    --out "$work/small.gguf" --log "$work/small.jsonl"
timed labels "$ponder" label -m "$work/policy.gguf" --problems 20000 --chains 6 --solvable 0.7 --seed 1 --out "$work/labels.jsonl"
timed prm "$ponder" train prm --init "$work/policy.gguf" --labels "$work/labels.jsonl" --steps 3000 --batch 128 --lr 1e-3 --warmup 100 --spoiled 0 --seed 1 \
    --out "$work/prm.gguf" --log "$work/prm.jsonl"

timed tasks bench/train-tasks.sh "$ponder" "$work/tasks"
cp "$work/policy.jsonl" bench/results/train-policy.jsonl
cp "$work/small.jsonl" bench/results/train-policy-small.jsonl
cp "$work/prm.jsonl" bench/results/train-prm.jsonl
cp "$work/minutes.jsonl" bench/results/train-minutes.jsonl
cp "$work/policy.gguf" weights/game24-policy.gguf
cp "$work/small.gguf" weights/game24-policy-small.gguf
cp "$work/prm.gguf" weights/game24-prm.gguf
cp "$work/tasks/policy-small.gguf" weights/ponder-policy.gguf
echo "weights/ holds the new models; make builds them in"

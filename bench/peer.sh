#!/usr/bin/env bash
# peer.sh LLAMA_BIN_FOLDER MODEL_FOLDER [PONDER [PATTERN]]: ponder beside llama.cpp on the same files, JSON lines on stdout.
# Models of real shapes with random weights are made in MODEL_FOLDER when they are missing.  It takes about an hour, and
# the machine should do nothing else.  PATTERN, a regular expression, takes some of the lines: "tree qwen.* 512".
# jq is needed for the table: bench/peer-table.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: bench/peer.sh LLAMA_BIN_FOLDER MODEL_FOLDER [PONDER [PATTERN]]'
llama=${1:?$usage} models=${2:?$usage} ponder=${3:-build/ponder} pattern=${4:-.}
mkdir -p "$models"

# bench KIND SHAPE TYPE ARGUMENTS...
bench() {
    local model=$models/$2-$3.gguf peer=(--vs-llama-bench "$llama/llama-bench")
    [[ "$*" =~ $pattern ]] || return 0
    [ -f "$model" ] || "$ponder" bench make --shape "$2" --type "$3" -o "$model" >&2
    [ "$1" != tree ] || peer=(--vs-batched-bench "$llama/llama-batched-bench")
    echo "$1 $2 $3 ${*:4}" >&2
    "$ponder" bench "$1" -m "$model" -t 2 -o jsonl "${peer[@]}" "${@:4}"
}

for type in q8_0 q4_0 q5_0 q6_k q4_k_m f16; do bench prefill qwen2.5-0.5b $type --prompt 512 -r 3; done
for type in q8_0 q4_0 q4_k_m; do bench decode qwen2.5-0.5b $type --gen 48 -r 5; done
for type in q8_0 q4_0 q4_k_m; do bench tree qwen2.5-0.5b $type --prompt 512 --branches 16,32,64 --gen 24 -r 2; done
bench decode qwen2.5-0.5b q8_0 --depth 4096 --gen 32 -r 2
bench decode qwen2.5-0.5b q4_k_m --depth 4096 --gen 32 -r 2
for type in q8_0 q4_0 q4_k_m; do bench tree qwen2.5-0.5b $type --prompt 4096 --branches 16 --gen 24 -r 1; done
for type in q8_0 q4_0 q4_k_m f16; do bench prefill smollm2-135m $type --prompt 512 -r 5; done
for type in q8_0 q4_0 q4_k_m; do
    bench decode smollm2-135m $type --gen 64 -r 5
    bench tree smollm2-135m $type --prompt 512 --branches 16,32,64 --gen 24 -r 3
done
bench tree smollm2-135m q8_0 --prompt 4096 --branches 16,32 --gen 24 -r 2
for type in q8_0 q4_0 q4_k_m; do
    bench prefill llama-3.2-1b $type --prompt 512 -r 1
    bench decode llama-3.2-1b $type --gen 32 -r 2
    bench tree llama-3.2-1b $type --prompt 512 --branches 16,32 --gen 16 -r 1
done

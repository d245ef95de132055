#!/usr/bin/env bash
# types.sh LLAMA_BIN_FOLDER MODEL.gguf FOLDER [PONDER [TYPES]]: one model in every tensor type, ponder beside llama.cpp, a
# Markdown table on stdout.  Files are made in FOLDER by llama-quantize (MXFP4 by ponder) when they are missing.
# Not a test: it takes an hour on an idle machine.  ROUNDS=1 and TREE= (no branches) make it shorter.  jq is needed.
# Next: docs/QUANT.md, where the table stands.
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: bench/types.sh LLAMA_BIN_FOLDER MODEL.gguf FOLDER [PONDER [TYPES]]'
llama=${1:?$usage} model=${2:?$usage} folder=${3:?$usage} ponder=${4:-build/ponder}
types=${5:-F16 BF16 Q8_0 Q6_K Q5_K_M Q5_1 Q5_0 Q4_K_M Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4 Q3_K_M IQ3_S IQ3_XXS Q2_K IQ2_S IQ2_XS \
IQ2_XXS TQ2_0 TQ1_0 IQ1_M IQ1_S}
rounds=${ROUNDS:-3} tree=${TREE-16,32} threads=${THREADS:-$(nproc)}
mkdir -p "$folder"

# llama-quantize makes the smallest types with weights for its errors only: here they are all alike.
u32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16)))\\x00"; }
importance() {
    local rows name n
    rows=$("$ponder" inspect --json -m "$folder/F16.gguf" | jq -r '.file.tensors[] | select(.shape | length > 1) | "\(.name) \(.shape[0])"')
    u32 "$(wc -l <<<"$rows")"
    while read -r name n; do
        u32 ${#name} && printf %s "$name" && u32 1 && u32 "$n" && head -c $((4 * n)) /dev/zero | tr '\0' '\77'
    done <<<"$rows"
}

make_file() { # TYPE
    local file=$folder/$1.gguf
    [ ! -f "$file" ] || return 0
    case $1 in
    F16) "$llama/llama-quantize" --allow-requantize "$model" "$file.part" F16 ;;
    MXFP4) "$ponder" quantize -q "$folder/F16.gguf" "$file.part" MXFP4 ;;
    IQ[12]*)
        [ -f "$folder/importance" ] || importance >"$folder/importance"
        "$llama/llama-quantize" --imatrix "$folder/importance" "$folder/F16.gguf" "$file.part" "$1"
        ;;
    *) "$llama/llama-quantize" "$folder/F16.gguf" "$file.part" "$1" ;;
    esac >&2 && mv "$file.part" "$file"
}

# cells PART PEER_FLAG PEER ARGUMENTS...: "ours | ratio |" of each row; a peer that fails leaves the ratio empty.
cells() {
    "$ponder" bench "$1" -m "$file" -t "$threads" -r "$rounds" -o jsonl "$2" "$llama/$3" "${@:4}" |
        jq -r '" \(.tokens_per_second | round) | \(if .ratio then .ratio * 100 | round / 100 else "" end) |"' | tr -d '\n'
}

make_file F16
head="| type | one branch, tokens/s | of llama.cpp | prompt of 512 | of llama.cpp |" line="|---|---:|---:|---:|---:|"
for b in ${tree//,/ }; do head+=" $b branches on 512 | of llama.cpp |" line+="---:|---:|"; done
printf '%s\n' "$head" "$line"
for type in $types; do
    file=$folder/$type.gguf
    make_file "$type"
    row="| $type |$(cells decode --vs-llama-bench llama-bench --gen 48)$(cells prefill --vs-llama-bench llama-bench --prompt 512)"
    [ -z "$tree" ] || row+=$(cells tree --vs-batched-bench llama-batched-bench --prompt 512 --branches "$tree" --gen 24)
    printf '%s\n' "$row"
done

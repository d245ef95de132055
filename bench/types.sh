#!/usr/bin/env bash
# types.sh: models in every tensor type, ponder beside llama.cpp, and in bad weather; a Markdown table on stdout.
# Not a test: with -r 1 and the files made before it takes some ten minutes for each model on an idle machine.
# Next: docs/QUANT.md, where the table stands.  jq is needed.
#
#   bench/types.sh [-r ROUNDS] [-g GEN] [-n] [-f] [-t "TYPES"] LLAMA_BIN_FOLDER FOLDER MODEL.gguf...
#
# -r rounds of each measurement (3)      -g tokens of each branch (48)       -t types (all)
# -n makes the files only                -f measures again what FOLDER/*/rows has
#
# Files are made in FOLDER/MODEL by llama-quantize (MXFP4 by ponder) when they are missing, and every row that was
# measured is kept there: the same command goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=3 gen=48 only_files= again= threads=${THREADS:-$(nproc)} ponder=${PONDER:-build/ponder} tree=${TREE-16,32}
types='Q4_K_M Q8_0 Q4_0 Q4_1 Q5_K_M Q5_1 Q5_0 Q6_K IQ4_NL IQ4_XS MXFP4 F16 BF16 Q3_K_M Q2_K TQ2_0 TQ1_0
IQ3_S IQ3_XXS IQ2_S IQ2_XS IQ2_XXS IQ1_M IQ1_S' # llama-quantize takes a minute for each of the last ones
usage() { sed -n 's/^#   //p' "$0" >&2 && exit 2; }
while getopts r:g:nft: flag; do
    case $flag in
    r) rounds=$OPTARG ;; g) gen=$OPTARG ;; t) types=$OPTARG ;; n) only_files=1 ;; f) again=1 ;; *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || usage
llama=$1 all=$2
shift 2

# llama-quantize makes the smallest types with weights for its errors only: here they are all alike.
byte() { printf "\\x$(printf %02x $(($1 & 255)))"; }
u32() { byte "$1" && byte $(($1 >> 8)) && byte $(($1 >> 16)) && byte $(($1 >> 24)); }
importance() {
    local rows name n
    rows=$("$ponder" inspect --json -m "$folder/F16.gguf" |
        jq -r '.file.tensors[] | select(.shape | length > 1) | "\(.name) \(.shape[0])"')
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
    IQ[12]* | IQ3_XXS)
        [ -f "$folder/importance" ] || importance >"$folder/importance"
        "$llama/llama-quantize" --imatrix "$folder/importance" "$folder/F16.gguf" "$file.part" "$1"
        ;;
    *) "$llama/llama-quantize" "$folder/F16.gguf" "$file.part" "$1" ;;
    esac >"$folder/$1.log" 2>&1 && mv "$file.part" "$file" || { tail -3 "$folder/$1.log" >&2 && return 1; }
}

# cells PART PEER_FLAG PEER ARGUMENTS...: "ours | ratio |" of each row; a peer that fails leaves the ratio empty.
cells() {
    "$ponder" bench "$1" -m "$file" -t "$threads" -r "$rounds" -o jsonl "$2" "$llama/$3" "${@:4}" |
        jq -r '" \(.tokens_per_second | round) | \(if .ratio then .ratio * 100 | round / 100 else "" end) |"' |
        tr -d '\n'
}
decode() { cells decode --vs-llama-bench llama-bench --gen "$gen"; }

# row NAME FUNCTION: kept in a file, so that it is measured once.
row() {
    local kept=$folder/rows/${1// /_} cells
    if [ -n "$again" ] || [ ! -s "$kept" ]; then
        if ! cells=$("$2"); then
            printf '| %s | failed |\n' "$1"
            return 0
        fi
        printf '| %s |%s\n' "$1" "$cells" >"$kept"
    fi
    cat "$kept"
}

type_cells() {
    decode && cells prefill --vs-llama-bench llama-bench --prompt 512 && {
        [ -z "$tree" ] ||
            cells tree --vs-batched-bench llama-batched-bench --prompt 512 --branches "$tree" --gen $((gen / 2))
    }
}

# The same beside processes that want a CPU each.
beside() { # N
    local pids=() i code=0
    for ((i = 0; i < $1; i++)); do
        while :; do :; done &
        pids+=($!)
    done
    decode || code=1
    kill "${pids[@]}" && wait "${pids[@]}" 2>/dev/null || true
    return $code
}
beside_1() { beside 1; }
beside_2() { beside 2; }

table() {
    local type b head="| type | one branch, tokens/s | of llama.cpp | prompt of 512 | of llama.cpp |"
    local line="|---|---:|---:|---:|---:|"
    for b in ${tree//,/ }; do head+=" $b branches on 512 | of llama.cpp |" line+="---:|---:|"; done
    printf '\n%s\n\n%s\n%s\n' "$(basename "$model"), $threads threads, $rounds rounds, $(uname -m):" "$head" "$line"
    for type in $types; do
        file=$folder/$type.gguf
        if make_file "$type"; then row "$type" type_cells; else printf '| %s | not made |\n' "$type"; fi
    done
    file=$folder/Q4_K_M.gguf
    [ -f "$file" ] || return 0
    row "Q4_K_M beside 1 busy process" beside_1
    row "Q4_K_M beside 2 busy processes" beside_2
}

for model; do
    folder=$all/$(basename "$model" .gguf)
    mkdir -p "$folder/rows"
    make_file F16
    if [ -z "$only_files" ]; then
        table
    else
        for type in $types; do make_file "$type" || echo "$type: not made" >&2; done
    fi
done

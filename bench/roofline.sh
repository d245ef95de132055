#!/usr/bin/env bash
# roofline.sh ROWS.jsonl... OUT.svg: a roofline plot of prefill, decode and tree rows (ponder bench -o jsonl).
# The memory roof is the median of the rows' read_gb_per_second, the other one the best kernels row (mac_per_cycle), if there is one.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: bench/roofline.sh ROWS.jsonl... OUT.svg" >&2; exit 2; }
out=${!#}
here=$(dirname "$(realpath "$0")")
for tool in jq gnuplot; do
    command -v "$tool" >/dev/null || { echo "roofline.sh: $tool is not installed" >&2; exit 1; }
done
data=$(mktemp)
trap 'rm -f "$data"' EXIT
rows=("${@:1:$#-1}")
# kind, MAC per byte, GMAC/s, the peer's GMAC/s (0: none), label
jq -r 'select(.gmac_per_second and .mac_per_byte)
       | [.bench, .mac_per_byte, .gmac_per_second, (if .ratio then .gmac_per_second / .ratio else 0 end),
          "\"\(.model | sub("\\.gguf$"; ""))\(if .branches then " x\(.branches)" else "" end)\""] | join(" ")' "${rows[@]}" >"$data"
[ -s "$data" ] || { echo "roofline.sh: no prefill, decode or tree row in ${rows[*]}" >&2; exit 1; }
read=$(jq -s '[.[] | .read_gb_per_second // empty] | sort | .[length / 2 | floor]' "${rows[@]}")
threads=$(jq -s '[.[] | select(.gmac_per_second) | .threads] | max' "${rows[@]}")
top=$(jq -s --argjson threads "$threads" '[.[] | select(.bench == "kernels" and .tokens > 1) | .mac_per_cycle * .ghz * $threads] | max // 0' "${rows[@]}")
peers=$(jq -s '[.[] | select(.ratio)] | length' "${rows[@]}")
title=$(jq -rs '[.[] | select(.gmac_per_second)][0] | "\(.cpu), \(.threads) threads, ponder \(.commit)"' "${rows[@]}")
gnuplot -e "data='$data'; out='$out'; read=$read; top=$top; peers=$peers; title='$title'" "$here/roofline.gp"

#!/usr/bin/env bash
# peer-table.sh FILE.jsonl: rows of peer.sh as a Markdown table; a field peer_build, if somebody added it, says how the peer was built.
set -euo pipefail
echo "| model | what | ours, tokens/s | llama.cpp | ratio | of the read bandwidth |"
echo "|---|---|---:|---:|---:|---:|"
jq -r '"| \(.model | sub("\\.gguf$"; "")) | \(
    if .bench == "tree" then "\(.branches) branches on \(.prompt)"
    elif .bench == "prefill" then "prompt of \(.prompt)"
    elif (.depth // 0) > 0 then "one branch at depth \(.depth)" else "one branch" end) | \(
    .tokens_per_second | round) | \(.peer_tokens_per_second | round)\(if .peer_build then ", \(.peer_build)" else "" end) | \(.ratio * 100 | round / 100) | \(
    if .bench == "prefill" or .of_read_bandwidth == null then "" else "\(.of_read_bandwidth * 100 | round)%" end) |"' "$1"

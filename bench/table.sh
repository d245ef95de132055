#!/usr/bin/env bash
# table.sh: JSON summaries of game24.sh as a Markdown table.  bench/table.sh FILE.jsonl
set -euo pipefail
awk '
function field(name,   at, rest) {
  if (!match($0, "\"" name "\":")) return "";
  rest = substr($0, RSTART + RLENGTH);
  if (rest ~ /^\[/) { match(rest, /^\[[^]]*\]/); return substr(rest, 2, RLENGTH - 2) }
  if (rest ~ /^"/) { match(rest, /^"[^"]*"/); return substr(rest, 2, RLENGTH - 2) }
  match(rest, /^[-0-9.eE+]+/); return substr(rest, 1, RLENGTH)
}
BEGIN { print "| policy | search | budget | correct | accuracy | 95% interval | policy tokens | PRM tokens | MFLOP policy | MFLOP PRM | median ms (8 in flight) |"
        print "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|" }
{ n = field("n"); split(field("ci95"), ci, ",")
  printf "| %s | %s | %s | %s/%s | %.1f%% | %.1f-%.1f | %.0f | %.0f | %.0f | %.0f | %.0f |\n", field("policy"), field("search"), field("budget"),
    field("correct"), n, 100 * field("accuracy"), 100 * ci[1], 100 * ci[2], field("generated_tokens") / n, field("prm_tokens") / n,
    field("policy_flops") / n / 1e6, field("prm_flops") / n / 1e6, field("median_ms") }
' "$1"

#!/usr/bin/env bash
# cli_bench.sh PONDER: ponder bench from outside: models of known shapes, rows in every form, other programs beside it.  Nothing
# here depends on speed.
. "$(dirname "$0")/shell.sh"
# rows N FIELD...: the file out holds N lines, each a JSON object with these fields and those that every row has.
rows() {
    local n=$1 field fields
    shift
    [ "$(wc -l <out)" = "$n" ] || { say "$(wc -l <out) rows, expected $n"; return 1; }
    for field in bench model median spread min max rounds threads isa cpu commit "$@"; do
        fields=$(jq -r "select(.$field == null) | .bench" out) || { say "not JSON: $(head -c 300 out)"; return 1; }
        [ -z "$fields" ] || { say "no $field in: $(head -c 300 out)"; return 1; }
    done
    [ -z "$(jq -r 'select((.median > 0 and .min <= .median and .median <= .max and .spread >= 0) | not) | .bench' out)" ] ||
        { say "numbers out of order: $(cat out)"; return 1; }
}
make() { "$ponder" bench make --shape "$1" --type "$2" -o "$3" --seed "${4:-1}" 2>err || { say "make $*: $(cat err)"; return 1; }; }
# value FILE KEY: what inspect shows of a key
value() { "$ponder" inspect "$1" | awk -v key="$2" '$1 == key { print $3; exit }'; }

t_the_same_seed_makes_the_same_file() {
    make tiny q8_0 a.gguf 7 && make tiny q8_0 b.gguf 7 && make tiny q8_0 c.gguf 8 || return 1
    cmp -s a.gguf b.gguf || { say "the same seed, two files"; return 1; }
    ! cmp -s a.gguf c.gguf || { say "two seeds, the same file"; return 1; }
}
# Tensors of the file are those that ponder quantize makes of the F16 file, byte for byte; only the order of keys differs.
t_types_are_those_of_quantize() {
    local type
    make tiny f16 f.gguf || return 1
    for type in Q8_0 Q4_0 Q5_0 Q6_K Q4_K_S Q4_K_M; do
        make tiny "$type" a.gguf && "$ponder" quantize -q f.gguf b.gguf "$type" 2>err || return 1
        "$ponder" logits -m a.gguf --tokens 1,50,7 -o a.f32 >out 2>err && "$ponder" logits -m b.gguf --tokens 1,50,7 -o b.f32 >out 2>err || return 1
        cmp -s a.f32 b.f32 || { say "$type: made and quantised differ"; return 1; }
    done
}
t_every_kind_of_shape_is_a_model() {
    local shape
    for shape in tiny tiny-odd tiny-spm tiny-qwen3; do
        make "$shape" q4_k_m m.gguf && expect 0 "$ponder" run -m m.gguf -n 3 --temp 0 -p "abc def" || return 1
        expect 0 "$ponder" tokenize -m m.gguf -p "abcd xyz" || return 1
    done
}
t_real_shapes_have_the_published_sizes() {
    make smollm2-135m q4_0 s.gguf || return 1
    [ "$(stat -c %s s.gguf)" -gt 91000000 ] && [ "$(stat -c %s s.gguf)" -lt 92000000 ] || { say "size $(stat -c %s s.gguf)"; return 1; }
    [ "$(value s.gguf llama.block_count)" = 30 ] && [ "$(value s.gguf llama.embedding_length)" = 576 ]
}
t_make_refuses() {
    refuses 2 'qwen2.5-0.5b' "$ponder" bench make --shape none -o x.gguf &&
        refuses 2 '"q9" is none of' "$ponder" bench make --shape tiny --type q9 -o x.gguf &&
        refuses 2 '--out is missing' "$ponder" bench make --shape tiny &&
        refuses 2 '--shape is missing' "$ponder" bench make -o x.gguf &&
        refuses 1 '/nowhere/x.gguf' "$ponder" bench make --shape tiny -o /nowhere/x.gguf
}
t_decode_prefill_tree() {
    make tiny q8_0 m.gguf || return 1
    expect 0 "$ponder" bench decode -m m.gguf --depth 0,40 --gen 3 -r 2 -t 1 -o jsonl && rows 2 model depth gen tokens_per_second read_gb_per_second &&
        expect 0 "$ponder" bench prefill -m m.gguf --prompt 1,70 -r 2 -t 2 -o jsonl && rows 2 model prompt tokens_per_second &&
        expect 0 "$ponder" bench tree -m m.gguf --prompt 37 --branches 1,4,33 --gen 3 -r 2 -o jsonl && rows 3 prompt branches gen tokens_per_second || return 1
    [ "$(jq -c .branches out | paste -sd' ')" = "1 4 33" ] && [ "$(jq -c .prompt out | sort -u)" = 37 ] && [ "$(jq -c .rounds out | sort -u)" = 2 ]
}
# A prompt may be read before the branch beside it has its first token: then that is said.
t_a_token_beside_a_prompt() {
    "$ponder" bench mix -m game24-policy --prompt 120 -ub 4 -r 1 -o jsonl >out 2>err </dev/null
    case $? in
    0) rows 1 token_ms token_p95_ms pass_ms prompt_share ;;
    1) one_line err && has err '--prompt 120: it was read before one token' ;;
    *) say "exit code of bench mix: $(cat err)"; return 1 ;;
    esac
}
t_fork_bandwidth_kernels_attention() {
    expect 0 "$ponder" bench fork -m game24-policy --ctx 17,4096 -r 3 -o jsonl && rows 2 ns_per_fork ns_fork_of_4096_live step_beside_4095_idle ctx model &&
        expect 0 "$ponder" bench bandwidth -r 1 -t 2 -o jsonl && rows 2 read_gb_per_second ghz &&
        expect 0 "$ponder" bench kernels --types f32,q4_0 -n 1,5 -r 1 -t 1 -o jsonl && rows 6 type tokens library mac_per_cycle || return 1
    [ "$(jq -r 'select(.library == "OpenBLAS") | .type' out | sort -u)" = F32 ] || { say "no OpenBLAS row"; return 1; }
    expect 0 "$ponder" bench attention -n 1,3 -c 64 -r 1 -o jsonl && rows 2 queries context cycles_per_cell
}
t_forms_of_rows() {
    local fork=(bench fork -m game24-policy --ctx 64,128 -r 3)
    expect 0 "$ponder" "${fork[@]}" -o json && [ "$(jq length out)" = 2 ] && [ "$(jq -r '.[1].ctx' out)" = 128 ] || return 1
    expect 0 "$ponder" "${fork[@]}" -o csv && [ "$(wc -l <out)" = 3 ] || return 1
    [ "$(awk -F, '{ print NF }' out | sort -u | wc -l)" = 1 ] || { say "rows of unequal length: $(cat out)"; return 1; }
    expect 0 "$ponder" "${fork[@]}" && has out '| ns_per_fork |' && has out 'cpu ' || return 1
    expect 0 "$ponder" bench bandwidth -t 2 -r 1 && has out '| read_gb_per_second |'
}
t_the_bare_form_looks_at_the_embedded_models() {
    expect 0 "$ponder" bench -r 1 -o json || return 1
    [ "$(jq -r '[.[].bench] | unique | join(" ")' out)" = "decode fork prefill tree" ] && [ "$(jq '[.[].model] | unique | length' out)" = 4 ]
}
t_a_search_is_replayed() {
    "$ponder" solve -q --search mcts --budget 12 --trace t.jsonl "4 7 8 8" >out 2>err
    local made tokens
    made=$(grep -c '"event":"made"' t.jsonl) tokens=$(jq -s '[.[] | select(.event == "made") | .tokens] | add' t.jsonl)
    expect 0 "$ponder" bench replay t.jsonl -r 2 -o jsonl && rows 1 trace prompt steps tokens passes tokens_per_second || return 1
    [ "$(jq .steps out)" = "$made" ] && [ "$(jq .tokens out)" = "$tokens" ] || { say "$made steps, $tokens tokens in: $(cat out)"; return 1; }
    [ "$(jq .passes out)" -lt "$tokens" ] || { say "no two steps shared a pass"; return 1; }
}
t_overhead_of_a_search() {
    expect 0 "$ponder" bench overhead -r 1 -t 1 --budget 8 --nodes 2000 -o jsonl && [ "$(wc -l <out)" = 2 ] || return 1
    jq -es '.[0].strategy_percent >= 0 and .[0].strategy_percent < 100 and .[0].nodes > 3 and .[1].nodes == 2000 and
        .[1].bytes_per_node < 300' out >/dev/null || { cat out >&2; return 1; }
    refuses 2 '"magic" is none of' "$ponder" bench overhead --search magic
}
t_broken_traces_are_refused() {
    refuses 1 '/nowhere' "$ponder" bench replay /nowhere
    "$ponder" solve -q --search bon --budget 2 --trace whole.jsonl "4 7 8 8" >out 2>err
    sed '3s/"parent":0/"parent":7/' whole.jsonl >t.jsonl
    refuses 1 't.jsonl:3: "parent"' "$ponder" bench replay t.jsonl || return 1
    echo 'x' >t.jsonl
    refuses 1 't.jsonl:1: ' "$ponder" bench replay t.jsonl || return 1
    head -n 2 whole.jsonl >t.jsonl
    refuses 1 'no step' "$ponder" bench replay t.jsonl && refuses 2 'one TRACE' "$ponder" bench replay
}
# Stand-ins that answer like the programs of llama.cpp: what we ask them, and what we make of the answer.
t_peers_run_between_our_rounds() {
    make tiny q8_0 m.gguf || return 1
    cat >llama-bench <<'P'
#!/bin/sh
echo "llama $*" >>log
for d in 0 40; do echo "{\"build_commit\":\"abc\",\"n_prompt\":0,\"n_gen\":3,\"n_depth\":$d,\"avg_ts\":10.0}"; done
P
    cat >batched <<'P'
#!/bin/sh
echo "batched $*" >>log
echo "some talk"
for b in 1 4; do echo "{\"pp\":37,\"tg\":3,\"pl\":$b,\"speed_tg\":20.0}"; done
P
    chmod +x llama-bench batched
    expect 0 "$ponder" bench decode -m m.gguf -d 0,40 --gen 3 -r 2 -t 1 --vs-llama-bench ./llama-bench -o jsonl &&
        rows 2 peer ratio ratio_spread peer_tokens_per_second || return 1
    [ "$(jq -r .peer out | sort -u)" = "llama-bench abc" ] && [ "$(grep -c llama log)" = 6 ] || { say "log: $(cat log)"; return 1; }
    grep -q -- '-t 1 .*-p 0 -n 3 -d 0,40 -r 1 -o jsonl' log || { say "asked: $(head -1 log)"; return 1; }
    [ -z "$(jq 'select((.ratio * 10 <= .max and .ratio * 10 >= .min) | not)' out)" ] || { say "ratio: $(cat out)"; return 1; }
    expect 0 "$ponder" bench tree -m m.gguf -p 37 -b 1,4 --gen 3 -r 1 --vs-batched-bench ./batched -o jsonl && rows 2 peer ratio &&
        grep -q -- '-npp 37 -ntg 3 -npl 1,4 -pps -kvu' log || { say "asked: $(tail -1 log)"; return 1; }
}
t_peers_that_fail_are_named() {
    make tiny q8_0 m.gguf || return 1
    printf '#!/bin/sh\necho no such thing >&2\nexit 3\n' >bad
    printf '#!/bin/sh\nexit 0\n' >mute
    chmod +x bad mute
    refuses 1 'bad: failed (exit code 3): no such thing' "$ponder" bench prefill -m m.gguf -p 8 --vs-llama-bench ./bad &&
        refuses 1 'mute: gave no rate' "$ponder" bench prefill -m m.gguf -p 8 --vs-llama-bench ./mute &&
        refuses 1 'nope: cannot be run' "$ponder" bench prefill -m m.gguf -p 8 --vs-llama-bench ./nope &&
        refuses 1 'give --model FILE' "$ponder" bench prefill -p 8 --vs-llama-bench ./bad
}
t_wrong_words_get_one_line() {
    refuses 2 'none of decode, prefill' "$ponder" bench nonsense &&
        refuses 2 '--branches: "1,x"' "$ponder" bench tree --branches 1,x &&
        refuses 2 '--branches: "0"' "$ponder" bench tree --branches 0 &&
        refuses 2 '--types: "q9"' "$ponder" bench kernels --types f32,q9 &&
        refuses 2 '--vs-llama-bench: "" is no path' "$ponder" bench decode --vs-llama-bench '' &&
        refuses 2 '--vs-batched-bench: "" is no path' "$ponder" bench tree --vs-batched-bench= &&
        refuses 2 '--output: "xml"' "$ponder" bench fork -o xml &&
        refuses 2 'multiple of 8' "$ponder" bench attention --head-dim 12 &&
        refuses 1 'trained for' "$ponder" bench prefill -p 100000 &&
        refuses 1 '/nowhere.gguf' "$ponder" bench decode -m /nowhere.gguf &&
        expect 0 "$ponder" bench --help && has out 'ponder bench tree'
}
t_roofline_of_the_same_rows() {
    command -v gnuplot >/dev/null || return 0
    make tiny q8_0 m.gguf && expect 0 "$ponder" bench tree -m m.gguf -p 20 -b 1,4 --gen 2 -r 1 -o jsonl && cp out rows.jsonl || return 1
    expect 0 "$here/../bench/roofline.sh" rows.jsonl r.svg && has r.svg '<svg' && has r.svg 'm x4'
}

command -v jq >/dev/null || { echo "not ok jq_is_installed"; exit 1; }
run_tests "${2:-}"

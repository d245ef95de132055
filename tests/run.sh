#!/usr/bin/env bash
# run.sh BUILD_FOLDER [NAME...]: runs every test program there, then the command-line tests, and adds their counts up; with
# names those only: test_engine, cli_search, or cli_search:PART for its tests that have PART in their names.
# The last line is "N passed, N failed, N skipped"; logs stay beside the programs.  A test that cannot run here counts as
# skipped, never as passed.  Exit code 1 when anything failed.
set -u
B=${1:?usage: tests/run.sh BUILD_FOLDER [NAME...]}
shift
only=" $* "
cd "$(dirname "$0")/.."
export OPENBLAS_NUM_THREADS=1 # our own team is the parallelism, and sanitizers cannot see into the library
export TSAN_OPTIONS="${TSAN_OPTIONS:-} halt_on_error=1 second_deadlock_stack=1"
passed=0 failed=0 skipped=0 names=

# count LOG EXIT_CODE NAME: takes the numbers from a log; a crash or a time-out is one failure more.
count() {
    local p f s why=
    p=$(grep -c '^\[ *OK *\]\|^ok ' "$1")
    # cmocka lists the skipped and the failed ones again below its totals
    s=$(awk '/^\[ *SKIPPED *\] [0-9]+ test/ { again = 1 } again && /^\[ *SKIPPED *\] [^0-9]/ { next }
             /^\[=+\] Running/ { again = 0 } /^\[ *SKIPPED *\] [^0-9]|^skipped / { n++ } END { print n + 0 }' "$1")
    f=$(awk '/^\[ *FAILED *\] [0-9]+ test/ { again = 1 } again && /^\[ *FAILED *\] [^0-9]/ { next }
             /^\[=+\] Running/ { again = 0 } /^\[ *FAILED *\] [^0-9]|^not ok / { n++ } END { print n + 0 }' "$1")
    if [ "$2" = 124 ]; then why=" (stopped after $limit s)"; fi
    if [ "$2" != 0 ] && [ "$f" = 0 ]; then f=1 why="${why:- (exit code $2)}"; fi
    if [ "$p" = 0 ] && [ "$f" = 0 ] && [ "$s" = 0 ]; then f=1 why=' (no test ran)'; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-24s %4d passed' "$3" "$p"
    [ "$f" = 0 ] || printf ', %d FAILED%s' "$f" "$why"
    [ "$s" = 0 ] || printf ', %d skipped' "$s"
    printf ', %d s\n' $((SECONDS - start))
    [ "$f" = 0 ] || names="$names $3"
    [ "$f" = 0 ] || grep -v '^\[ *OK *\]\|^\[ *RUN *\]\|^ok ' "$1" | tail -n 60
}

[ -x "$B/ponder" ] || { echo "run.sh: $B/ponder is not built" >&2; exit 1; }
limit=${TEST_SECONDS:-300}
for source in tests/test_*.c; do
    name=$(basename "$source" .c) start=$SECONDS
    [ -z "${only// /}" ] || [[ $only = *" $name "* ]] || continue
    timeout -k 5 "$limit" "$B/tests/$name" </dev/null >"$B/tests/$name.log" 2>&1
    count "$B/tests/$name.log" $? "$name"
done
limit=$((2 * limit)) # some 150 processes
for script in tests/cli*.sh; do
    name=$(basename "$script" .sh) start=$SECONDS part=
    if [ -n "${only// /}" ]; then
        [[ $only =~ " $name"(:([^ ]*))?" " ]] || continue
        part=${BASH_REMATCH[2]}
    fi
    timeout -k 5 "$limit" "$script" "$B/ponder" $part </dev/null >"$B/tests/$name.log" 2>&1
    count "$B/tests/$name.log" $? "$name"
done
[ -z "$names" ] || echo "failed:$names (logs in $B/tests)"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]

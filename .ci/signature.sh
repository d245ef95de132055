#!/usr/bin/env bash
# signature.sh PONDER: the hash of the fixed searches must be the kept one, on any thread count and instruction set.
set -euo pipefail
cd "$(dirname "$0")/.."
want=$(cat bench/signature.txt)
check() {
    local got
    got=$("${@:2}")
    [ "$got" = "$want" ] || {
        echo "signature: $1 gives $got, bench/signature.txt says $want" >&2
        exit 1
    }
    echo "signature: $1: $got"
}
# The scalar kernels take as long as all others together.
check "scalar kernels" env PONDER_ISA=scalar "$1" signature -t 1 &
check "1 thread" "$1" signature -t 1
check "2 threads" "$1" signature -t 2
check "avx-vnni kernels, where this CPU has them" env PONDER_ISA=avx-vnni "$1" signature -t 2
check "avx2 kernels" env PONDER_ISA=avx2 "$1" signature -t 2
wait $! # fails as it did

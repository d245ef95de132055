#!/usr/bin/env bash
# setup.sh build|test|ci: makes sure that what we need is installed.  It asks the compiler, not the package manager, so
# it is quick when nothing is missing and right on systems without apt-get.
set -euo pipefail
what=${1:-build}
packages=(gcc libc6-dev make libopenblas-dev libpcre2-dev libjansson-dev libmicrohttpd-dev libstb-dev libedit-dev)
headers='#include <cblas.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stb/stb_ds.h>
#include <stdio.h>
#include <histedit.h>'
libs=(-lopenblas -lpcre2-8 -ljansson -lmicrohttpd -ledit -lm)
tools=(make gcc)
if [ "$what" != build ]; then
    packages+=(libcmocka-dev util-linux bsdutils jq bubblewrap python3)
    headers+='
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>'
    libs+=(-lcmocka)
    tools+=(flock script jq bwrap python3)
fi
if [ "$what" = ci ]; then
    packages+=(clang git gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libcurl4-openssl-dev libssl-dev)
    headers+='
#include <curl/curl.h>
#include <openssl/evp.h>' # builds without them have no downloads, and skip their tests
    tools+=(clang git aarch64-linux-gnu-gcc qemu-aarch64)
fi

case ${CC:-gcc} in clang*) packages+=(clang) ;; esac

complete() {
    local tool
    for tool in "${tools[@]}"; do command -v "$tool" >/dev/null || return 1; done
    printf '%s\nint main(void) { cblas_sscal(0, 1, 0, 1); return 0; }\n' "$headers" |
        "${CC:-gcc}" -x c - -o /dev/null "${libs[@]}" 2>/dev/null
}

complete && exit 0
if ! command -v apt-get >/dev/null; then
    echo "setup: something is missing and there is no apt-get here; install what Debian calls: ${packages[*]}" >&2
    exit 1
fi
sudo=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup: not root and no sudo; as root, run: apt-get install -y ${packages[*]}" >&2
        exit 1
    }
    sudo=(sudo)
fi
echo "setup: installing ${packages[*]}" >&2
{
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
} </dev/null >&2
complete || {
    echo "setup: the packages are installed, but a test program still does not build; see: ${CC:-gcc} -x c - ${libs[*]}" >&2
    exit 1
}

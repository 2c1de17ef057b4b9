#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU, within nine minutes: engines and latency, accuracy in three precisions, training.
#
#   bash benchmark/gpu.sh BUNDLE [--dry] [--json FILE]
#
# BUNDLE is what benchmark/gpu_bundle.sh prepares elsewhere: wheels, maps, images. On a bare machine with a driver and
# Python a virtual environment is made of the wheels; where the packages are there already (PYTHON=...), it is not. The most
# valuable part comes first, and within a part the most valuable rows; each ends in time, and whatever is there by then is in
# FILE (docs/benchmarks/results/gpu.json), row by row. Ctrl-C ends one part, and the next one begins. --dry rehearses all of
# it without a GPU, in some minutes. The commit is that of the check-out: take it there with its .git.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bundle=$(cd "${1:?give the bundle of benchmark/gpu_bundle.sh}" && pwd); shift
dry=() json=$root/docs/benchmarks/results/gpu.json
while [ $# -gt 0 ]; do
    case $1 in
        --dry) dry=(--dry); json=$bundle/dry.json ;;
        --json) json=$2; shift ;;
        *) echo "gpu.sh: unknown option $1" >&2; exit 1 ;;
    esac
    shift
done
export PYTHONPATH=$root VLOC_CACHE_DIR=$bundle/cache OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) < 4 ? $(nproc) : 4))}
trap : INT  # the part that runs gets it, not this script
rm -rf "$json" "$VLOC_CACHE_DIR"  # rows and engines of another GPU, or of another commit

has_packages() { "$1" -c 'import onnxruntime, numba, poselib, torch' 2> "$bundle/python.log"; }
python=${PYTHON:-python3} own=$bundle/venv/bin/python
if ! has_packages "$python"; then
    if ! has_packages "$own"; then
        echo "== environment: $bundle/wheels"
        timeout 120 "$python" -m venv "$bundle/venv" &&
            timeout 120 "$own" -m pip install --quiet --no-index --no-deps --no-compile "$bundle"/wheels/*.whl ||
            { echo "gpu.sh: $python has no packages ($bundle/python.log), and no environment can be made of $bundle/wheels" >&2; exit 1; }
    fi
    python=$own
fi

failed=0
part() {  # NAME SECONDS
    echo "== $1, at most $2 s"
    timeout --foreground --signal=INT --kill-after=10 "$2" "$python" "$root/benchmark/gpu.py" "$1" --bundle "$bundle" --json "$json" "${dry[@]}"
    local code=$?
    [ $code = 0 ] || { echo "== $1: ended with code $code, what it measured is in $json" >&2; failed=1; }
}
part latency 240
part accuracy 110
part training 70
exit $failed

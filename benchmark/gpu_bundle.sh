#!/usr/bin/env bash
# Prepares, on a computer without a GPU, what benchmark/gpu.sh needs on one with a GPU: maps, images and wheels.
#
#   bash benchmark/gpu_bundle.sh OUT --data DIR [--minutes 40] [--python python3.12]
#       redkitchen of 7-Scenes (DIR/seq-01, DIR/poses_sfm.txt), and wheels for that Python: the version of the GPU machine's,
#       3.11 to 3.13, on Linux of the same processor. Its driver has to know CUDA 13.
#   bash benchmark/gpu_bundle.sh OUT --dry
#       tiny maps of the synthetic room, for `gpu.sh OUT --dry`; no wheels
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:?give a directory to write}; shift
data= minutes=40 dry= target=
while [ $# -gt 0 ]; do
    case $1 in
        --data) data=$(cd "$2" && pwd); shift ;;
        --minutes) minutes=$2; shift ;;
        --python) target=$2; shift ;;
        --dry) dry=1 ;;
        *) echo "gpu_bundle.sh: unknown option $1" >&2; exit 1 ;;
    esac
    shift
done
[ -n "$data$dry" ] || { echo "gpu_bundle.sh: give --data DIR or --dry" >&2; exit 1; }
python=${PYTHON:-$root/.venv/bin/python}
export PYTHONPATH=$root
mkdir -p "$out/maps"
if [ -n "$dry" ]; then
    from=(--dataset synthetic_room --split small)
    learning=(--epochs 1 --novel-views 0 --width 160 --batch-size 4)
    echo '{"dataset": "synthetic_room", "root": "", "poses": "", "split": "small"}' > "$out/dataset.json"
else
    from=(--dataset seven_scenes --root "$data" --poses "$data/poses_sfm.txt" --split train)
    learning=(--minutes "$minutes")
    mkdir -p "$out/redkitchen" && cp -r "$data/." "$out/redkitchen/"
    echo '{"dataset": "seven_scenes", "root": "redkitchen", "poses": "poses_sfm.txt", "split": "test"}' > "$out/dataset.json"
fi
map() { "$python" -m vloc_ros.cli map "${from[@]}" --out "$out/maps/$1" "${@:2}"; }
map vsnet --method vsnet --precision float16 bfloat16 "${learning[@]}"
map hscnet --method hscnet --precision float16 bfloat16 "${learning[@]}"
map pram --method pram --features xfeat --recognition trained
if [ -z "$dry" ]; then
    # ONNX Runtime's wheels for GPUs are linked with CUDA 13 and TensorRT 10 (libnvinfer.so.10), whatever is newer.
    { sed 's/^onnxruntime==/onnxruntime-gpu[cuda,cudnn]==/' "$root/requirements/run.txt"; grep -v '^-r' "$root/requirements/offline.txt"
      echo "tensorrt-cu13>=10.13,<11"; echo "cuda-bindings==13.*"; } > "$out/requirements.txt"
    # Not `pip download`: of TensorRT it brings what fetches its libraries when it is installed.
    collect() { "${target:-$python}" -m pip wheel --quiet --wheel-dir "$out/wheels" "$@"; }
    collect -r "$out/requirements.txt"
    collect --no-deps -r "$root/requirements/features.txt"
fi
echo "ready: $(du -sh "$out" | cut -f1) in $out"

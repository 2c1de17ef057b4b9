#!/usr/bin/env bash
# Prepares, on a computer without a GPU, what benchmark/gpu.sh needs on one with a GPU: maps, images and wheels.
#
#   bash benchmark/gpu_bundle.sh OUT --data DIR [--minutes 40]   redkitchen of 7-Scenes (DIR/seq-01, DIR/poses_sfm.txt)
#   bash benchmark/gpu_bundle.sh OUT --dry                       tiny maps of the synthetic room, for `gpu.sh OUT --dry`
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:?give a directory to write}; shift
data= minutes=40 dry=
while [ $# -gt 0 ]; do
    case $1 in
        --data) data=$(cd "$2" && pwd); shift ;;
        --minutes) minutes=$2; shift ;;
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
    { cat "$root/requirements/run.txt" | grep -v '^onnxruntime'; grep -v '^-r' "$root/requirements/offline.txt"; cat "$root/requirements/features.txt"
      echo "onnxruntime-gpu>=1.20"; echo "tensorrt>=10.3,<12"; echo "cuda-bindings>=12.6,<14"; } > "$out/requirements.txt"
    "$python" -m pip download --quiet --dest "$out/wheels" -r "$out/requirements.txt"
fi
echo "ready: $(du -sh "$out" | cut -f1) in $out"

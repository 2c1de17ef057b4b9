#!/usr/bin/env bash
# rclpy 7.1.6 with rcl 9.2.8 and rmw_fastrtps_cpp 8.4.3 (ROS 2 Jazzy; wheels of PyPI; 28 November 2026, run with Python 3.11 on Linux):
# a node that is made and destroyed while another one lives leaves about 100 kB behind, for as long as the process lives. It is the
# type description service that each node offers by itself: with the parameter start_type_description_service off, nothing is left.
# Python's garbage collector finds nothing. So a node for each activity, as for receiving TF beside a lifecycle node, costs a tenth
# of a megabyte a time.
#
# Seen:
#     resident memory for each node made and destroyed: 101.0 kB, without its type description service: 0.5 kB
# Exits with 0 as long as that is so (more than 50, less than 10), with 1 where it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
# By itself, with --no-deps: the wheels also ask for linters and test tools, and accept releases that do not go together.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps PyYAML==6.0.3 numpy==2.2.6 \
    ros-action-msgs==2.0.3 ros-ament-index-cpp==1.8.1 ros-ament-index-python==1.8.1 ros-builtin-interfaces==2.0.3 ros-fastcdr==2.2.5 \
    ros-fastrtps==2.14.5 ros-foonathan-memory-vendor==1.3.1 ros-libyaml-vendor==1.6.3 ros-lifecycle-msgs==2.0.3 ros-rcl==9.2.8 \
    ros-rcl-action==9.2.8 ros-rcl-interfaces==2.0.3 ros-rcl-lifecycle==9.2.8 ros-rcl-logging-interface==3.1.1 ros-rcl-logging-spdlog==3.1.1 \
    ros-rcl-yaml-param-parser==9.2.8 ros-rclpy==7.1.6 ros-rcpputils==2.11.2 ros-rcutils==6.7.4 ros-rmw==7.3.2 \
    ros-rmw-dds-common==3.1.0 ros-rmw-fastrtps-cpp==8.4.3 ros-rmw-fastrtps-shared-cpp==8.4.3 ros-rmw-implementation==2.15.6 ros-rosgraph-msgs==2.0.3 \
    ros-rosidl-dynamic-typesupport==0.1.2 ros-rosidl-dynamic-typesupport-fastrtps==0.1.0 ros-rosidl-runtime-c==4.6.6 ros-rosidl-runtime-cpp==4.6.6 ros-rosidl-typesupport-c==3.2.2 \
    ros-rosidl-typesupport-cpp==3.2.2 ros-rosidl-typesupport-fastrtps-c==3.6.2 ros-rosidl-typesupport-fastrtps-cpp==3.6.2 ros-rosidl-typesupport-introspection-c==4.6.6 ros-rosidl-typesupport-introspection-cpp==4.6.6 \
    ros-rpyutils==0.4.2 ros-service-msgs==2.0.3 ros-spdlog-vendor==1.6.1 ros-std-msgs==5.3.6 ros-tracetools==8.2.4 \
    ros-type-description-interfaces==2.0.3 ros-unique-identifier-msgs==2.5.0 ros-wheels-bootstrapper==0.1.2 \
    ros-rosidl-parser==4.6.6 ros-rosidl-generator-py==0.22.2 lark-parser==0.12.0
cd "$work"
export ROS_DOMAIN_ID=97 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
for service in True False; do
    venv/bin/python - "$service" > "$service" <<'PYTHON'
import gc
import sys
from pathlib import Path

import rclpy
from rclpy.parameter import Parameter

NODES = 200


def make_and_destroy(count: int) -> float:
    """Resident memory afterwards, in kB."""
    offered = Parameter("start_type_description_service", value=sys.argv[1] == "True")
    for _ in range(count):
        rclpy.create_node("passing", parameter_overrides=[offered], start_parameter_services=False).destroy_node()
    gc.collect()
    status = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in status if line.startswith("VmRSS")))


rclpy.init()
staying = rclpy.create_node("staying")
settled = make_and_destroy(20)
print((make_and_destroy(NODES) - settled) / NODES)
PYTHON
done
read -r with < True
read -r without < False
printf 'resident memory for each node made and destroyed: %.1f kB, without its type description service: %.1f kB\n' "$with" "$without"
python3 -c "import sys; sys.exit(0 if $with > 50 and $without < 10 else 1)"

#!/usr/bin/env bash
# rosbags 0.11.9 (PyPI; 28 November 2026, run with Python 3.11 on Linux): rosbags.rosbag2.Reader of a bag DIRECTORY gives no message, and
# no error, where the offered_qos_profiles in metadata.yaml are not those in the storage file. Emptying them there is a usual
# way to play a bag with another ROS release. The reader pairs each topic of metadata.yaml with one of the
# storage by name, type and `ext`, which holds the profiles; what finds no partner is passed over. message_count still counts.
# Reading the .mcap or .db3 file itself gives all messages.
#
# Seen:
#     as written: 1 of 1 message(s)
#     offered_qos_profiles emptied in metadata.yaml: 0 of 1 message(s)
#     the file in it: 1 of 1 message(s)
# Exits with 0 as long as that is so, with 1 where it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rosbags==0.11.9 PyYAML==6.0.3
cd "$work"
venv/bin/python - <<'PYTHON'
import sys
from pathlib import Path

import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

forever = QosTime(9223372036, 854775807)
latched = Qos(
    QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
    forever, forever, QosLiveliness.AUTOMATIC, forever, False,
)
bag, types = Path("bag"), get_typestore(Stores.ROS2_JAZZY)
with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
    topic = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=types, offered_qos_profiles=[latched])
    hello = types.types["std_msgs/msg/String"](data="hello")
    writer.write(topic, 1, types.serialize_cdr(hello, "std_msgs/msg/String"))


def read(path: Path, what: str) -> int:
    with Reader(path) as reader:
        count = len(list(reader.messages()))
        print(f"{what}: {count} of {reader.message_count} message(s)")
    return count


whole = read(bag, "as written")
metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
for entry in metadata["rosbag2_bagfile_information"]["topics_with_message_count"]:
    entry["topic_metadata"]["offered_qos_profiles"] = []
(bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
edited = read(bag, "offered_qos_profiles emptied in metadata.yaml")
file = read(bag / "bag.mcap", "the file in it")
sys.exit(0 if (whole, edited, file) == (1, 0, 1) else 1)
PYTHON

#!/usr/bin/env bash
# rosbags 0.11.9 (PyPI; 28 November 2026, run with Python 3.11 on Linux): rosbags.rosbag2.Writer with StoragePlugin.SQLITE3 puts
# the messages into ANOTHER FILE where the bag's path has a '#' or a '?'. It opens SQLite with f'file:{path}' as a URI without
# quoting the path, so that SQLite takes what follows '#' or '?' for a fragment or a query. The bag directory is made, metadata.yaml
# lists a file that is not there, no error is raised, and a file whose name is the path up to the '#' holds all messages.
# With '%25' in the path, the file cannot be opened at all. MCAP bags are right. Python's Path.as_uri() quotes.
#
# Seen:
#     bag "c#/drive": drive.db3 in it: False; written instead: "c", which has 1 message(s)
#     reading the bag: ReaderError
# Exits with 0 as long as that is so, with 1 where it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rosbags==0.11.9
cd "$work"
mkdir 'c#'
venv/bin/python - <<'PYTHON'
import sqlite3
import sys
from pathlib import Path

from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

bag, types = Path("c#/drive"), get_typestore(Stores.ROS2_JAZZY)
with Writer(bag, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
    topic = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=types)
    hello = types.types["std_msgs/msg/String"](data="hello")
    writer.write(topic, 1, types.serialize_cdr(hello, "std_msgs/msg/String"))
inside, other = (bag / "drive.db3").exists(), Path("c")
count = sqlite3.connect(other).execute("SELECT COUNT(*) FROM messages").fetchone()[0] if other.exists() else 0
print(f'bag "{bag}": drive.db3 in it: {inside}; written instead: "{other}", which has {count} message(s)')
try:
    with Reader(bag) as reader:
        print(f"reading the bag: {len(list(reader.messages()))} message(s)")
        read = True
except Exception as error:
    print(f"reading the bag: {type(error).__name__}")
    read = False
sys.exit(0 if not inside and count == 1 and not read else 1)
PYTHON

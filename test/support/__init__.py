"""What several test files share: scenes, files, fakes, and a robot on a ROS graph."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "test" / "support"
SHIPPED_MAP = ROOT / "maps" / "demo_room"

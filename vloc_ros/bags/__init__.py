"""ROS 2 bags, read and written without ROS: files by `mcap` and SQLite, messages by `rosbags`."""

"""ROS 2 bags, read and written through `rosbags`: no ROS is needed."""

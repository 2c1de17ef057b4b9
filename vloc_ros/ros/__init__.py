"""The ROS 2 nodes: the only layer that imports rclpy."""

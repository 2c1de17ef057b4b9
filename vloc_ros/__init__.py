"""vloc_ros: visual relocalization against a learned map, as a library, a command line and ROS 2 nodes."""

__version__ = "0.2.0"

"""Messages of sensor_msgs as NumPy arrays."""

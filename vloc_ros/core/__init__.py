"""What runs on the robot: types, camera, transforms, voting, pose. NumPy, Numba, OpenCV and PoseLib only."""

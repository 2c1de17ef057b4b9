"""Transforms, cameras and their lenses, trajectories, and the kernels of PnP."""

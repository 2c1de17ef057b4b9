"""Measuring a localizer against known poses: metrics, trajectories, reports."""

"""From single poses to a track."""

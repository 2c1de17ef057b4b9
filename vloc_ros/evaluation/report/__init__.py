"""Self-contained HTML reports: of an evaluation, of a map, of several evaluations side by side."""

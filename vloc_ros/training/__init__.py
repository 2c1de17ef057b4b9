"""Networks, losses, training loop and export: the only place that imports torch."""

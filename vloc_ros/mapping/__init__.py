"""From posed images to the geometry of a place, its regions, and what each image shows of them (offline)."""

"""The stages of map building, in the order of `build_map`."""

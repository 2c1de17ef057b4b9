"""Local features: key points of an image with descriptors, by a network of the map (XFeat, or a user's own) or SIFT."""

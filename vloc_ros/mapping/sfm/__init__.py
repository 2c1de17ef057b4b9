"""Structure from motion: poses, points and the camera of images that have none, by pycolmap from our own features."""

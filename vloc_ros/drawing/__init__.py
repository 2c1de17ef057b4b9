"""Pictures of what was found in an image."""

"""VS-Net: labels and votes, joined to landmarks."""

"""PRAM (Xue et al., 2024): sparse features, the landmarks they belong to, and matching with the points of these."""

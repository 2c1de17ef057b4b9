"""PRAM: recognition of landmarks by key points (Xue et al., 2024)."""

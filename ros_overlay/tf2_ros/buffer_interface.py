"""What buffers have in common."""


class BufferInterface:
    """Base of all buffers, for annotations and isinstance."""

"""What a look-up can fail with."""


class TransformException(Exception):  # noqa: N818  (upstream's names)
    """Base of all of them."""


class ConnectivityException(TransformException):
    """The frames are in trees that nothing connects."""


class LookupException(TransformException):
    """A frame is unknown, or the tree has a loop."""


class ExtrapolationException(TransformException):
    """The time is outside of what the buffer holds."""


class InvalidArgumentException(TransformException):
    """A frame name that cannot be one."""


class TimeoutException(TransformException):
    """Time ran out."""

"""The one tree of errors. A message says what is wrong, where, and which value."""


class VlocError(Exception):
    """Base of every error that this package raises for bad input; the command line prints it as one line."""


class ConfigError(VlocError):
    """An option, parameter or configuration value is wrong."""


class DatasetError(VlocError):
    """A data set or one of its files is missing, truncated, mis-sized or inconsistent."""


class MapError(VlocError):
    """A map directory is missing, damaged, unsafe or of another format."""


class ModelError(VlocError):
    """A network file or inference session does not do what the map says it does."""

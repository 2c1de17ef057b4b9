"""The one tree of errors. A message says what is wrong, where, and which value."""

MAX_SHOWN = 2000  # characters of one line for people


def printable(text: str) -> str:
    """`text` as one line that a terminal or a log shows and does not obey.

    Line breaks, escape sequences, changes of the writing direction and what no encoding has become backslash escapes;
    the middle of an endless text is left out.
    """
    if len(text) > MAX_SHOWN:
        text = f"{text[: MAX_SHOWN - 200]} ... {text[-150:]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason_of(error: BaseException) -> str:
    """What another library's error says, for a line of ours: what the system says of a file, else the first line, else
    the error's type."""
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0]


class VlocError(Exception):
    """Base of every error that this package raises for bad input; its text is one printable line, whatever names from
    files or from the network are in it."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(VlocError):
    """An option, parameter or configuration value is wrong."""


class ImageError(VlocError):
    """An image, of a message or of a file, cannot be decoded."""


class DatasetError(VlocError):
    """A data set or one of its files is missing, truncated, mis-sized or inconsistent."""


class MapError(VlocError):
    """A map directory is missing, damaged, unsafe or of another format."""


class NoMapError(MapError):
    """There is no such map directory."""


class NoFileError(MapError):
    """A map has no file of this name."""


class ManifestError(MapError):
    """map.yaml is missing, or what it says cannot be."""


class ModelError(VlocError):
    """A network file or inference session does not do what the map says it does."""

"""Reading text files of names and numbers; whatever is wrong with one becomes a DatasetError that names it."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vloc_ros.errors import DatasetError, reason_of
from vloc_ros.files import open_regular


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file. Raises DatasetError."""
    try:
        with open_regular(path) as file:
            return file.read()
    except OSError as error:
        raise DatasetError(f"{path}: {reason_of(error)}") from error


def read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and words of each line; blank lines and # comments are left out. Raises DatasetError."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not a text file (byte {error.start} is not UTF-8)") from error
    lines = ((number, line.split("#")[0].split()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, words) for number, words in lines if words]


def comma_hint(text: str) -> str:
    """What to say more of columns that cannot be read, if commas are the reason."""
    return "; comma-separated? columns are separated by blanks" if "," in text else ""


def parse_numbers(path: Path, number: int, words: Sequence[str]) -> list[float]:
    """Finite floats, or a DatasetError naming file and line."""
    values = []
    for word in words:
        try:
            values.append(float(word))
        except ValueError:
            raise DatasetError(f"{path}, line {number}: '{word}' is not a number{comma_hint(word)}") from None
    if not all(map(math.isfinite, values)):
        raise DatasetError(f"{path}, line {number}: {' '.join(words)} has a value that is not finite")
    return values


def read_table(path: Path, columns: str) -> dict[str, tuple[int, list[float]]]:
    """Read lines of `name number number ...` as {name: (line number, numbers)}.

    `columns` names all columns, as documentation writes them. Raises DatasetError for a line with other than these
    columns, for a name that comes twice and for a file without any line.
    """
    table: dict[str, tuple[int, list[float]]] = {}
    for number, words in read_lines(path):
        if len(words) != len(columns.split()):
            hint = comma_hint(" ".join(words[1:]) or words[0])  # a name may have a comma
            raise DatasetError(f"{path}, line {number}: {len(words)} columns, expected '{columns}'{hint}")
        if words[0] in table:
            raise DatasetError(f"{path}, line {number}: '{words[0]}' is there already, in line {table[words[0]][0]}")
        table[words[0]] = number, parse_numbers(path, number, words[1:])
    if not table:
        raise DatasetError(f"{path}: it has no line of '{columns}'")
    return table


def read_words(path: Path) -> list[str]:
    """One word a line, each once. Raises DatasetError for more words in a line, repeated words, or an empty file."""
    lines = read_lines(path)
    for number, words in lines:
        if len(words) != 1:
            raise DatasetError(f"{path}, line {number}: {len(words)} words, expected one name")
    names = [words[0] for _, words in lines]
    if not names:
        raise DatasetError(f"{path}: it lists no names")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DatasetError(f"{path}: '{name}' is listed {count} times")
    return names

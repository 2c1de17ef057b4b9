"""The YAML of map.yaml: a small part of the language that every version of it reads alike, of bounded size.

Mappings with different texts as keys, lists, texts, decimal numbers, `true`, `false` and `null`. No anchors, aliases,
merges, tags and directives; no plain word that YAML 1.1 and 1.2 take for different things, such as `yes`, `012`,
`12:30`, `1_000` or a date: such texts stand in quotes.
"""

import math
import re
import reprlib
from collections.abc import Iterator
from typing import Any

import yaml

from vloc_ros.errors import MapError

MAX_DEPTH = 8  # of lists and mappings in each other
MAX_VALUES = 5000  # in the whole document, keys among them
MAX_TEXT = 4096  # characters of one text, which may be the path of a file
MAX_DIGITS = 40  # characters of one number

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
MAX_INTEGER = 2**63 - 1
CONSTANTS = {"null": None, "true": True, "false": False}
# What no text may have: line breaks and other control characters, and half characters, which no encoding has.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

ROOT = "the document"
FLOAT_TAG = "tag:yaml.org,2002:float"
TEXT_TAG = "tag:yaml.org,2002:str"


class _Dialect(yaml.resolver.Resolver):
    """What a plain word may be taken for: all that PyYAML, which is YAML 1.1, knows, and the numbers of YAML 1.2."""


_Dialect.add_implicit_resolver(
    FLOAT_TAG,
    re.compile(r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+)$"),
    list("-+.0123456789"),
)
DIALECT = _Dialect()


class _Dumper(yaml.SafeDumper):
    """Puts quotes around every text that could be taken for something else."""

    yaml_implicit_resolvers = _Dialect.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(document: dict[str, Any]) -> bytes:
    """YAML that `load` reads back as the same. Texts must have no control characters."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text.encode()


def load(content: bytes) -> dict[str, Any]:
    """The mapping that a YAML document is. Raises MapError, one line, for all that is not in this part of YAML."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MapError(f"not valid YAML: not UTF-8 from byte {error.start} on") from error
    if text.startswith("\ufeff"):
        raise MapError("not valid YAML: begins with a byte order mark")
    try:
        return _document(_events(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        raise MapError(f"not valid YAML{place}: {getattr(error, 'problem', None) or type(error).__name__}") from error
    except (ValueError, OverflowError) as error:  # an escape that is no character
        raise MapError(f"not valid YAML: {type(error).__name__}") from error


def _events(text: str) -> Iterator[yaml.Event]:
    """The parser's events, refused early where there are too many, too deep ones, or ones of the rest of YAML."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        where = f"not valid YAML in line {event.start_mark.line + 1 if event.start_mark else 1}"
        if count > MAX_VALUES:
            raise MapError(f"{where}: more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise MapError(f"{where}: more than {MAX_DEPTH} lists and mappings in each other")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise MapError(f"{where}: anchors and aliases are not allowed")
        if (tag := getattr(event, "tag", None)) is not None:
            raise MapError(f"{where}: the tag {reprlib.repr(tag)} is not allowed")
        if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
            raise MapError(f"{where}: directives are not allowed")
        yield event


def _document(events: Iterator[yaml.Event]) -> dict[str, Any]:
    next(events)  # the start of the stream
    if isinstance(next(events), yaml.StreamEndEvent):
        raise MapError("is empty")
    document = _value(next(events), events, ROOT)
    next(events)  # the end of the document
    if not isinstance(next(events), yaml.StreamEndEvent):
        raise MapError("not valid YAML: holds more than one document")
    if not isinstance(document, dict):
        raise MapError(f"holds {reprlib.repr(document)} instead of keys and values")
    return document


def _value(event: yaml.Event, events: Iterator[yaml.Event], where: str) -> Any:
    """What begins with `event`; `where` are the keys that lead to it. At most MAX_DEPTH calls in each other."""
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(events, where)
    if isinstance(event, yaml.SequenceStartEvent):
        found: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            found.append(_value(event, events, f"{where}[{len(found)}]"))
        return found
    assert isinstance(event, yaml.ScalarEvent)
    return _scalar(event, where)


def _mapping(events: Iterator[yaml.Event], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _value(event, events, f"{where}: a key")
        if not isinstance(key, str):
            raise MapError(f"{where}: the key {reprlib.repr(key)} is not a text")
        if key in found:
            raise MapError(f"{where}: the key {reprlib.repr(key)} is there twice")
        found[key] = _value(next(events), events, key if where == ROOT else f"{where}.{key}")
    return found


def _scalar(event: yaml.ScalarEvent, where: str) -> Any:
    value: str = event.value
    if event.style is None and not _is_text(value):
        return _plain_value(value, where)
    if len(value) > MAX_TEXT:
        raise MapError(f"{where} is a text of {len(value)} characters, at most {MAX_TEXT} are allowed")
    if odd := CONTROL.search(value):
        raise MapError(f"{where}: {reprlib.repr(value)} has the character {odd[0]!r}, which no text may have")
    return value


def _is_text(word: str) -> bool:
    tag: str = DIALECT.resolve(yaml.ScalarNode, word, (True, False))  # type: ignore[no-untyped-call]
    return tag == TEXT_TAG


def _plain_value(word: str, where: str) -> Any:
    if word in CONSTANTS:
        return CONSTANTS[word]
    if len(word) > MAX_DIGITS:
        raise MapError(f"{where}: {reprlib.repr(word)} has {len(word)} characters, a number has at most {MAX_DIGITS}")
    match = NUMBER.fullmatch(word)
    if match is None:
        raise MapError(
            f"{where}: {word!r} is not read alike by all versions of YAML: a text stands in quotes, "
            "other values are decimal numbers, true, false and null"
        )
    number = float(word) if match[1] or match[2] else int(word)
    if not math.isfinite(number) or (isinstance(number, int) and abs(number) > MAX_INTEGER):
        raise MapError(f"{where}: {word} is too large a number")
    return number

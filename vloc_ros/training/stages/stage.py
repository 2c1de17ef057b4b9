"""What a stage of map building is."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

from vloc_ros.progress import Progress
from vloc_ros.training.method_options import StageName

Product = TypeVar("Product")
RunBy = Literal["first", "all"]  # which of several processes


class Stage(ABC, Generic[Product]):
    """One stage: what it is told, as its fields, and how it makes its product or reads it again.

    `run_by`: "first", the first process makes the product and the others read it; "all", all of them make it together,
    and go on with what is there of it. `last_for_others`: there is nothing left to do for them behind it.
    """

    name: ClassVar[StageName]
    run_by: ClassVar[RunBy] = "first"
    last_for_others: ClassVar[bool] = False

    @abstractmethod
    def inputs(self) -> Mapping[str, Any]:
        """What the product depends on besides the products before it, by name, in JSON's types."""

    def files(self) -> Mapping[str, Path]:
        """Files and directories, by name, whose content the product depends on too."""
        return {}

    @abstractmethod
    def make(self, directory: Path, progress: Progress) -> Product:
        """Make the product and write its artefact into the work directory. Raises VlocError for what cannot be used."""

    @abstractmethod
    def load(self, directory: Path) -> Product:
        """Read the artefact. Raises VlocError for one that is not whole."""

    @abstractmethod
    def artefact(self, directory: Path) -> Iterable[Path]:
        """The files that `make` writes; where one of them is gone, the product is made again."""

    def is_there(self, directory: Path) -> bool:
        """Whether the artefact is where it was put."""
        return all(path.is_file() for path in self.artefact(directory))

    @abstractmethod
    def describe(self, directory: Path, product: Product) -> str:
        """The product in one line, for a person."""

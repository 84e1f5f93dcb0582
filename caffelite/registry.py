"""What the words of a prototxt stand for: functions and classes that say what they read."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from . import own_code
from .errors import did_you_mean
from .proto.given import given

Thing = TypeVar("Thing")


class Registry(dict[str, Any]):
    """{word: function or class}. Each has `reads`, the names of the options that it looks at.

    Other facts that all have, and what they are where nothing is said, are `defaults`.
    """

    def __init__(self, **defaults: Any) -> None:
        self.defaults = {"reads": (), **defaults}

    def __contains__(self, word: object) -> bool:
        """Whether `word` stands for something, if need be in modules of users not yet asked."""
        return super().__contains__(word) or (
            own_code.look_for_more() and super().__contains__(word)
        )

    def register(self, word: str = "", **facts: Any) -> Callable[[Thing], Thing]:
        """Decorator: let `word`, by default its own name, stand for a function or class.

        Facts become its attributes; what it says of itself already stays.
        """

        def add(thing: Any) -> Any:
            for name, default in self.defaults.items():
                setattr(thing, name, facts.get(name, getattr(thing, name, default)))
            self[word or thing.__name__] = thing
            return thing

        return add

    def load(self, package: str, path: Iterable[str]) -> "Registry":
        """Import all modules of a package, which register what they hold; returns this."""
        for module in pkgutil.iter_modules(path, f"{package}."):
            importlib.import_module(module.name)
        return self

    def instead_of(self, word: str) -> str:
        """What to say after a word that stands for nothing: the nearest that does, or all."""
        return did_you_mean(word, self) or f"; known are {', '.join(sorted(self))}"

    def all_reads(self) -> set[str]:
        """The options that any of them reads."""
        return {name for thing in self.values() for name in thing.reads}

    def unread(self, word: str, message: Any) -> list[str]:
        """The options given in `message` that others read, and what `word` stands for does not."""
        if word not in self:
            return []
        options = (option.path[0] for option in given(message, only=self.all_reads()))
        return [name for name in options if name not in self[word].reads]

"""The words of a command, and the values that take the places of its {placeholders}. No shell ever sees them.

    ./train.sh --epochs {resource} {params}    ->    ["./train.sh", "--epochs", "9", "--lr", "0.1", "--units", "64"]

A text is split into words as a POSIX shell splits them, quotes and backslashes included, and nothing else that a shell
does. A value fills a place in one word, whatever is in it: it can't become two.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_pipeline.errors import ConfigError, Problem

PARAMS = ("params", "params=")
"""Placeholders that stand for several words: `--name value` of each hyperparameter, `name=value` of each."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BRACES = "a brace that is no placeholder is written twice: {{ or }}"


@dataclass(frozen=True, slots=True)
class Template:
    """A command before its placeholders are filled. `words`: at least one."""

    words: tuple[str, ...]

    @classmethod
    def parse(cls, command: Any) -> Template:
        """The template of what stands in a config: a text, or a list of words.

        Raises:
            ConfigError: it is neither, or no command.
        """
        if isinstance(command, str):
            try:
                command = shlex.split(command)
            except ValueError as error:
                raise ConfigError(Problem("", f"can't be split into words ({error})", command)) from None
        if not isinstance(command, Sequence) or not command:
            wanted = "must be a command: a text, or a list of words"
            raise ConfigError(Problem("", f"{wanted}, such as 'python train.py {{params}}'", command))
        template = cls(tuple(map(_word, command)))
        if problems := list(template._problems()):
            raise ConfigError(problems)
        return template

    def _problems(self) -> Iterator[Problem]:
        for word in self.words:
            for part in _PART.finditer(word):
                if part[0] in "{}":
                    yield Problem("", f"{_BRACES}; got {word!r}")
                elif part[1] in PARAMS and word != part[0]:
                    yield Problem("", f"{part[0]} stands for several words, so it is one by itself; got {word!r}")
        if self.words[0] == "" or _names(self.words[0]):
            yield Problem("", f"its first word is the program, and must be written out; got {self.words[0]!r}")

    @property
    def program(self) -> str:
        return _PART.sub(lambda part: part[0][0], self.words[0])

    @property
    def names(self) -> list[str]:
        """Of all placeholders, in order."""
        return list(dict.fromkeys(name for word in self.words for name in _names(word)))

    def fill(self, values: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
        """The command with values in it.

        Args:
            values: placeholder -> what takes its place.
            params: the hyperparameters that `{params}` stands for. One that is None is left out, as it isn't given.

        Raises:
            KeyError: there is no value for a placeholder.
        """
        given = {name: as_text(value) for name, value in params.items() if value is not None}
        several = {
            "{params}": [word for name, value in given.items() for word in (f"--{name}", value)],
            "{params=}": [f"{name}={value}" for name, value in given.items()],
        }

        def filled(word: str) -> str:
            return _PART.sub(lambda part: part[0][0] if part[1] is None else as_text(values[part[1]]), word)

        return [part for word in self.words for part in (several[word] if word in several else [filled(word)])]


def as_text(value: Any) -> str:
    """A value as a program gets it: true and false in lower case, lists and mappings in JSON."""
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _names(word: str) -> list[str]:
    return [part[1] for part in _PART.finditer(word) if part[1] is not None]


def _word(word: Any) -> str:
    """A word of a list. YAML reads `- {params}` as a mapping, and `- 3` as a number.

    Raises:
        ConfigError: it is a mapping, or a list.
    """
    if isinstance(word, Mapping):
        name = next(iter(word), "")
        raise ConfigError(Problem("", f"YAML reads {{{name}}} as a mapping; put it in quotes: '{{{name}}}'"))
    if word is None or isinstance(word, (list, tuple)):
        raise ConfigError(Problem("", "must be a text, or a list of words", word))
    return as_text(word)

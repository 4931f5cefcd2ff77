"""What Hydra, OmegaConf and YAML say of a config that they can't read, in words for whoever wrote it."""

from __future__ import annotations

import re

import yaml

_WORDS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Value (?:('.*') of type 'str'|'(.*)' of type '.*') could .* to Integer", r"must be an integer, got \1\2"),
        (r"Value (?:('.*') of type 'str'|'(.*)' of type '.*') could .* to Float", r"must be a number, got \1\2"),
        (r"Value '(.*)' is not a valid bool \(type .*\)", r"must be true or false, got \1"),
        (
            r"Value '(.*)' \((?:str|int|float|bool|dict|list|.*Config)\) is not a valid string",
            r"must be a string, got \1",
        ),
        (r"Cannot convert '.*' to string: '(.*)'", r"must be a string, got \1"),
        (r"Cannot (?:merge|assign) DictConfig (?:with|to) ListConfig", "is a list; a mapping can't take its place"),
        (r"Cannot (?:merge|assign) ListConfig (?:with|to) DictConfig", "is a mapping; a list can't take its place"),
        (r"Invalid value assigned: \w+ is not a ListConfig, list or tuple\.", "must be a list"),
        (r"Key '(.*)' is not in struct", r"there is no key '\1'; to add one, put + before the whole"),
        (r"Config group override must be a string or a list\. Got (\w+)", r"must be the name of an option, got a \1"),
        (r"Key '(.*)' not in '\w+Schema'", "there is no such key"),
        (
            r"(?:Incompatible|Unsupported) key type '?NoneType.*|Key None .* is incompatible with .*",
            "a key is null; keys must be words (quote it: 'null')",
        ),
        (r"Interpolation to parent node detected", "refers to a mapping of which it is a part itself"),
        (r"Recursive interpolation detected", "refers to itself"),
        (r"Interpolation key '(.*)' not found", r"refers to \1, which is not there"),
        (r"Unsupported interpolation type (.*)", r"there is no resolver \1 for ${\1:…}"),
        (
            r"\w+ raised while resolving interpolation: (.*?)(?: expecting \{.*)?",
            r"the interpolation can't be resolved (\1)",
        ),
        (
            r"(?:In '.*': )?(?:Multiple values for )?(\S+?)(?: appears more than once .*|\. To override a .*)",
            r"\1: is chosen twice; on the command line leave out the +, in a file write 'override /\1'",
        ),
        (r"Invalid loaded object type: (\w+)", r"must be a mapping of keys to values, got \1"),
        (
            r"(?:Expected header format: KEY VALUE, got|Too many components in) '(.*)'",
            r"\1: must be '# @package _global_', or a path of the config",
        ),
        (r"Invalid defaults list in '.*', defaults must be a list \(got (\w+)\)", r"defaults: must be a list, got \1"),
        (
            r"Unsupported (?:type|item value) in defaults : (\w+).*",
            r"defaults: must be names of options, got one of type \1; write {group: option}",
        ),
        (r"In '(.*)': Could not load '(.*)'\.", r"\1: defaults: there is no \2"),
        (
            r"In '(.*)': Could not override '(.*)'\. No match in the defaults list\.",
            r"\1: defaults: there is no group \2",
        ),
    )
)


def told(error: BaseException) -> str:
    """The part of an error's message that is about what was typed, or about the YAML file that can't be read."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        within = f" ({error.context} that begins at {_place(error.context_mark)})" if error.context_mark else ""
        return f"{error.problem_mark.name}, {_place(error.problem_mark)}: {error.problem}{within}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return told(error.__cause__) if error.__cause__ else type(error).__name__
    if found := re.match(r"In '(.*?)': \w+ raised while composing config:", lines[0]):
        key = next((line.partition(":")[2].strip() for line in lines if line.startswith("full_key:")), "")
        return f"{found[1]}: {f'{key}: ' if key else ''}{told(ValueError(chr(10).join(lines[1:])))}"
    if words := in_our_words(lines[0]):
        return words
    noise = ("full_key:", "object_type=", "Set the environment", "See https")
    return "; ".join([line for line in lines if not line.startswith(noise)][:3]) or type(error).__name__


def in_our_words(line: str) -> str | None:
    """The first line of a message, said again; None where there is nothing better to say."""
    for pattern, words in _WORDS:
        if found := pattern.fullmatch(line):
            return found.expand(words)
    return None


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"

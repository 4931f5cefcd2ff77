"""The documentation as a reader finds it: pages, and in each its blocks of code, links, pictures and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from commands import ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/**/*.md"))]


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        place: page and line, as an error message names it.
        marks: what HTML comments above it say: "not run" -> the reason, for example.
        is_output: whether it shows what the commands before it, below the same heading, have printed.
    """

    place: str
    language: str
    text: str
    marks: dict[str, str]
    is_output: bool


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def _tokens(page: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(page.read_text())


def blocks(page: Path) -> Iterator[Block]:
    """The blocks in their order; code that isn't fenced has the language "indented"."""
    before: list[Token] = []
    last = ""
    for token in _tokens(page):
        if token.type in ("fence", "code_block"):
            assert token.map
            comments = [re.findall(r"<!--\s*([\w ]+):\s*(.*?)\s*-->", found.content, re.DOTALL) for found in before]
            yield Block(
                place=f"{name_of(page)}:{token.map[0] + 1}",
                language=token.info.strip() if token.type == "fence" else "indented",
                text=token.content,
                marks={kind: " ".join(reason.split()) for pairs in comments for kind, reason in pairs},
                is_output=token.info.strip() == "text" and last == "sh",
            )
            last = token.info.strip()
        if token.type == "heading_open":
            last = ""
        before = [*before, token] if token.type == "html_block" else []


def links(page: Path) -> list[str]:
    """Where its links lead to, as they are written."""
    return [str(token.attrs["href"]) for token in _inline(page) if token.type == "link_open"]


def pictures(page: Path) -> list[str]:
    return [str(token.attrs["src"]) for token in _inline(page) if token.type == "image"]


def code_spans(page: Path) -> set[str]:
    """What stands between backticks in running text."""
    return {token.content for token in _inline(page) if token.type == "code_inline"}


def anchors(page: Path) -> set[str]:
    """The fragments that its headings have on GitHub: lower case, without punctuation, hyphens for spaces."""
    found: dict[str, int] = {}
    tokens = _tokens(page)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {f"{slug}-{again}" if again else slug for slug, n in found.items() for again in range(n + 1)}


def _inline(page: Path) -> Iterator[Token]:
    for token in _tokens(page):
        yield from token.children or ()

"""Every link leads somewhere, every page and picture is reached from the README, and every option is told of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
import yaml
from commands import CONF, ROOT
from pages import PAGES, anchors, blocks, code_spans, links, name_of, pictures

README = ROOT / "README.md"
OUTSIDE = re.compile(r"[a-z]+:")


def keys_of(group: str) -> set[str]:
    """What the options of a group set, and their names, which stand for them where there are several."""
    options = {path.stem: yaml.safe_load(path.read_text()) or {} for path in (CONF / group).glob("*.yaml")}
    return set(options).union(*(option.get(group, option) or () for option in options.values()))


KEYS = {
    group: keys_of(group)
    for group in (path.name for path in CONF.iterdir() if path.is_dir())
    if group not in ("search_space", "experiment", "__pycache__")
}
OPTIONS = [path.relative_to(CONF) for path in sorted(CONF.glob("*/*.yaml")) if path.stem != "none"]


def target(page: Path, link: str) -> tuple[Path, str]:
    """The file and the fragment that a relative link means."""
    path, _, fragment = link.partition("#")
    return ((page.parent / path).resolve() if path else page), fragment


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    for link in links(page):
        if OUTSIDE.match(link):
            continue
        path, fragment = target(page, link)
        assert path.exists(), f"{name_of(page)}: {link}: there is no {path}"
        assert path.is_relative_to(ROOT), f"{name_of(page)}: {link} leads out of the project"
        assert not fragment or fragment in anchors(path), f"{name_of(page)}: {link}: no such heading"


def test_every_page_is_reached_from_the_readme():
    reached, ahead = {README}, [README]
    while ahead:
        page = ahead.pop()
        found = {target(page, link)[0] for link in links(page) if not OUTSIDE.match(link)}
        new = {path for path in found - reached if path in PAGES}
        reached |= new
        ahead += new
    assert [name_of(page) for page in PAGES if page not in reached] == []


def test_every_picture_is_there_and_shown():
    shown = {(page.parent / picture).resolve() for page in PAGES for picture in pictures(page)}
    assert [str(path) for path in shown if not path.is_file()] == []
    assert [str(path) for path in ROOT.glob("docs/**/*.png") if path not in shown] == []


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_is_fenced_and_says_in_what_language(page):
    for block in blocks(page):
        assert block.language in {"sh", "console", "python", "yaml", "text"}, block.place


def test_every_option_is_named_on_some_page():
    named = words_in_code()
    untold = [str(path) for path in OPTIONS if not {path.stem, f"{path.parent}={path.stem}"} & named]
    assert untold == []


def test_every_key_of_a_study_and_a_training_is_named_on_some_page():
    files = [yaml.safe_load((CONF / name).read_text()) for name in ("base.yaml", "tune.yaml", "train.yaml")]
    keys = set(chain.from_iterable(files)) - {"defaults", "hydra"}
    assert keys - {re.split(r"[=.\[]", word)[0] for word in words_in_code()} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_and_key_of_a_group_that_running_text_names_is_there(page):
    """Those in commands are composed."""
    for word in words(code_spans(page)):
        if option := re.fullmatch(r"(\w+)=(?!my_|mine)([a-z]\w*)", word):
            folder = CONF / option[1]
            assert not folder.is_dir() or (folder / f"{option[2]}.yaml").exists(), f"{name_of(page)}: {word}"
        elif key := re.match(r"(\w+)\.(\w+)\b.*=", word):
            assert key[1] not in KEYS or key[2] in KEYS[key[1]], f"{name_of(page)}: {word}"


def words(texts: Iterable[str]) -> set[str]:
    """Words without the quotes around them."""
    return {word.strip("'\"`,;:()[]") for text in texts for word in re.split(r"[\s|]+", text)}


def words_in_code() -> set[str]:
    """All words between backticks and in commands."""
    return words(
        chain.from_iterable(
            chain(code_spans(page), (block.text for block in blocks(page) if block.language in ("sh", "console")))
            for page in PAGES
        )
    )

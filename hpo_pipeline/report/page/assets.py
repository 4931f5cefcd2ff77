"""What pages are made of: a frame with the style, scripts and their hashes, and data packed apart from them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from hpo_pipeline.report.page.section import plain

if TYPE_CHECKING:
    import jinja2


def file(name: str, package: str = "hpo_pipeline.report.page") -> str:
    """The text of a file of a package."""
    return (resources.files(package) / name).read_text(encoding="utf-8")


def template(html: str, scripts: Sequence[str]) -> jinja2.Template:
    """A page that extends frame.html, which lets its style and scripts in and nothing else; all texts are escaped."""
    import jinja2

    fixed = {"scripts": scripts, "hashes": [_hash(script) for script in scripts], "style": file("page.css")}
    frame = jinja2.DictLoader({"frame.html": file("frame.html")})
    environment = jinja2.Environment(loader=frame, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(fixed)
    return environment.from_string(html)


def _hash(script: str) -> str:
    """What the content security policy calls a script that may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def packed(data: Mapping[str, Any]) -> str:
    """As JSON, gzipped, in base64: small, and there is nothing in it that HTML could take for its own."""
    text = json.dumps(plain(dict(data)), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode(errors="replace"), mtime=0)).decode()

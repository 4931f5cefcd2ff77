"""What a page that shows strangers' texts has to keep to."""

from __future__ import annotations

import base64
import hashlib
import re


def assert_no_text_became_markup(html: str) -> None:
    """Of a page of which every text is an attack, `alert("evil")` and `{{7*7}}` among them."""
    assert "<img" not in re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    assert 'alert("evil")' not in html
    assert "alert(&#34;evil&#34;)" in html  # it is told, as text
    assert "{{7*7}}" in html


def assert_only_its_own_scripts_run(html: str) -> None:
    """The content security policy names the scripts that are there; nothing else is loaded."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in hashes]
    markup = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert re.findall(r'\b(?:src|href)="(?!#)', markup) == []

"""What a page of the dashboard may do in a browser: one content security policy for each area."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from html.parser import HTMLParser

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""For data and for errors: nothing of it is a page."""
OURS = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
FILES = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""For what a study left behind: as a page of its own it is nobody, and runs nothing."""
OPTUNA = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Its parallel coordinates compile their shaders' code; its styles are made by its scripts."""
TENSORBOARD = (
    "default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


def policy_of(path: str, sent: str | None) -> str:
    """Return the policy of an answer.

    Args:
        path: that was asked for.
        sent: the policy that whoever made the answer gave it.
    """
    if path.startswith("/artifacts/"):
        return FILES
    if path.startswith("/tb/"):
        return NOTHING if sent is None else TENSORBOARD.format(scripts=_scripts(sent))
    if path == "/dashboard" or path.startswith("/dashboard/"):
        return OPTUNA
    return sent if sent is not None and _is_ours(path) else NOTHING


def report_policy(page: str) -> str:
    """Return the policy of a page with scripts of its own: these alone run, as nobody."""
    scripts = " ".join(_hashed(script) for script in _inline_scripts(page)) or "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; sandbox allow-scripts allow-downloads"
    )


def _is_ours(path: str) -> bool:
    return path == "/" or path.startswith("/hpo/")


def _scripts(sent: str) -> str:
    """Return TensorBoard's own sources of scripts: itself, and the hashes of what it has inline."""
    for directive in sent.split(";"):
        name, *sources = directive.split()
        if name == "script-src":
            kept = [one for one in sources if one == "'self'" or one.startswith("'sha256-")]
            return " ".join(kept) or "'none'"
    return "'none'"


def _hashed(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{b64encode(digest).decode()}'"


def _inline_scripts(page: str) -> Sequence[str]:
    found = _Scripts()
    found.feed(page)
    found.close()
    return list(dict.fromkeys(found.texts))


class _Scripts(HTMLParser):
    """Collects what stands in the script elements of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.texts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a script."""
        if tag == "script":
            self._inside = True
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        """End it."""
        if tag == "script":
            self._inside = False

    def handle_data(self, data: str) -> None:
        """Take what stands in it, which may come in pieces."""
        if self._inside:
            self.texts[-1] += data

"""Looks for secrets in the files of the repository: ``python scripts/leaks.py``. Exit code 1 if there is any.

It knows the forms of keys that give themselves away, and takes what looks random for a secret where it is called one.
What it finds it does not print.
"""

import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 1 << 20
RANDOM_BITS = 3.7
"""Bits of entropy in each character; words of a language have fewer, random base64 more."""
HEXADECIMAL = re.compile(r"(?:[0-9a-f]{24,}|[0-9A-F]{24,})")
HEXADECIMAL_BITS = 2.8
"""Of its digits, which say four bits at most and, being few, show less than they say; nobody writes words with them."""

NOT_OURS = re.compile(r"/(?:\.venv|\.git/|\.[a-z_]+cache|\.hypothesis|__pycache__|data/|dist/|build/)")
FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}",
    "a key of Driftline": r"\bdriftline_[0-9a-f]{8}_[A-Za-z0-9_-]{43}",
    "a key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60})",
    "a token of GitLab": r"\bglpat-[A-Za-z0-9_-]{20}",
    "a token of Slack": r"\bxox[abeoprs]-[A-Za-z0-9-]{20}",
    "a key of Google": r"\bAIza[0-9A-Za-z_-]{35}",
    "a key of Stripe": r"\b[rs]k_live_[0-9A-Za-z]{20}",
    "a token of a package index": r"\bpypi-[A-Za-z0-9_-]{50}",
    "a JSON Web Token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
}
NAMED = {
    "a password in an address": r"://[^\s/:@\"']*:([^\s/@\"'{}$]{12,})@",
    "a secret by its name": (
        r"(?i:passw(?:or)?d|secret|token|api_?key)[\"']?\s*[:=]+\s*[\"']([A-Za-z0-9+/_=-]{16,})[\"']"
    ),
}


def found_in(text: str) -> Iterator[tuple[int, str]]:
    """The line and the kind of everything that looks like a secret."""
    for kind, form in FORMS.items():
        for match in re.finditer(form, text):
            yield text.count("\n", 0, match.start()) + 1, kind
    for kind, form in NAMED.items():
        for match in re.finditer(form, text):
            if looks_random(match[1]):
                yield text.count("\n", 0, match.start()) + 1, kind


def looks_random(text: str) -> bool:
    """Whether nobody would have made this up."""
    counts = Counter(text).values()
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    enough = HEXADECIMAL_BITS if HEXADECIMAL.fullmatch(text) else min(RANDOM_BITS, 0.85 * math.log2(len(text)))
    return bits >= enough and any(map(str.isdigit, text))


def committed() -> list[Path]:
    """The files that are, or are about to be, in the repository; without Git, those of a source archive."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        return list(_found())
    return [path for path in (ROOT / name for name in names if name) if path.is_file()]


def _found() -> Iterator[Path]:
    for name, folders, files in os.walk(ROOT):
        folder = Path(name)
        folders[:] = [each for each in folders if not NOT_OURS.search(f"/{(folder / each).relative_to(ROOT)}/")]
        paths = (folder / each for each in files)
        yield from (path for path in paths if path.is_file() and not NOT_OURS.search(f"/{path.relative_to(ROOT)}"))


def main() -> int:
    """The exit code."""
    paths = committed()
    leaks = 0
    for path in paths:
        if path.stat().st_size > MAX_BYTES:
            continue
        for line, kind in found_in(path.read_text(encoding="utf-8", errors="replace")):
            print(f"{path.relative_to(ROOT)}:{line}: {kind}")
            leaks += 1
    print(f"{len(paths)} files: {leaks or 'no'} secrets")
    return int(leaks > 0)


if __name__ == "__main__":
    sys.exit(main())

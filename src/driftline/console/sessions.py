"""Sessions: who has shown a key once need not show it with each page.

A session is a cookie that says which key was shown and until when, signed with a secret that this process has drawn for
itself. So there is nothing to keep; a session ends when its time is over, when its key is revoked, and when the monitor
is started again.
"""

import hmac
import re
import secrets
from hashlib import sha256
from typing import Final

from driftline.api.guard import KeyRing

COOKIE: Final = "driftline_session"
SESSION_S: Final = 12 * 3600
_FORM: Final = re.compile(r"([0-9a-f]{8})\.([0-9]{1,12})\.([0-9a-f]{64})")


class Sessions:
    """Gives out sessions, and knows its own again.

    Args:
        keys: Whose holders are let in.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._secret = secrets.token_bytes(32)

    def begin(self, token: str, now: float, monotonic: float) -> str | None:
        """Returns the cookie's value for the holder of a key, or None if it is none.

        Args:
            token: What was shown.
            now: Unix time.
            monotonic: The time by which the file with the keys is looked at again.
        """
        key = self._keys.find(token.encode(), monotonic)
        if key is None:
            return None
        claim = f"{key.id}.{int(now) + SESSION_S}"
        return f"{claim}.{self._signed(claim)}"

    def holds(self, value: str, now: float, monotonic: float) -> bool:
        """Whether a cookie's value is of a session that goes on."""
        match = _FORM.fullmatch(value)
        if match is None:
            return False
        key_id, stop, signature = match.groups()
        signed = hmac.compare_digest(signature, self._signed(f"{key_id}.{stop}"))
        return signed and int(stop) > now and self._keys.knows(key_id.encode(), monotonic)

    def _signed(self, claim: str) -> str:
        return hmac.new(self._secret, claim.encode(), sha256).hexdigest()

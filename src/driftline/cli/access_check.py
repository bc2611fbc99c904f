"""What ``driftline doctor`` finds of who may ask the API, and over what."""

import ipaddress
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from driftline.api.tls import check_tls
from driftline.cli.access import keys_asked_for, needs_keys, tls_served
from driftline.doctor.finding import Finding
from driftline.errors import KeysError, PortError, SettingsError
from driftline.ports import claim

if TYPE_CHECKING:
    from driftline.settings import Settings

_DAY_S: Final = 86400.0
_SOON_S: Final = 14 * _DAY_S
_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def check_access(settings: "Settings") -> Iterator[Finding]:
    """Yields what is found of API keys and TLS; nothing is written, and no server is asked."""
    if settings.broker_url and not settings.outbox_dir.is_dir():
        yield Finding("API keys", "ok", "none here: the API is on another machine, or was never started")
        return
    try:
        address = claim(settings.host, 0).host
    except PortError as error:
        yield Finding("address", "problem", error.message.partition(";")[0], "set host to an address of this machine")
        return
    yield _keys(settings, address)
    yield from _tls(settings, address)


def _keys(settings: "Settings", address: str) -> Finding:
    if not needs_keys(settings, address):
        if ipaddress.ip_address(address).is_loopback:
            return Finding("API keys", "ok", f"not asked for: only this machine can reach {address}")
        text = f"not asked for (auth = none), and {address} can be reached from other machines"
        remedy = "driftline keys add NAME, and auth = auto; or see to it that only those reach it who may"
        return Finding("API keys", "warning", text, remedy)
    try:
        path = keys_asked_for(settings, address)
    except KeysError as error:
        text, _, remedy = error.message.replace("\n", ", ").partition(". Draw one: ")
        if isinstance(error.__cause__, OSError):
            remedy = "run it as the user that Driftline runs as; if this is that one, the file must be its own"
        remedy = remedy or "bring the file back; or remove it and draw new keys: driftline keys add NAME"
        return Finding("API keys", "problem", text, remedy)
    assert path is not None
    mode = path.stat().st_mode
    if mode & _BY_OTHERS:
        text = f"{path} may be written by others than its owner: they can let themselves in"
        return Finding("API keys", "problem", text, f"chmod 600 {path}")
    if mode & stat.S_IROTH:
        return Finding("API keys", "warning", f"{path} may be read by everybody on this machine", f"chmod 600 {path}")
    return Finding("API keys", "ok", f"asked for, and in {path}")


def _tls(settings: "Settings", address: str) -> Iterator[Finding]:
    try:
        tls = tls_served(settings)
    except SettingsError as error:
        remedy = "renew it" if "expired" in error.message else "put both files right: docs/http.md, HTTPS"
        yield Finding("TLS", "problem", error.message, f"{remedy}; a server that runs takes them on SIGHUP")
        return
    if tls is None:
        yield _plain(settings, address)
        return
    expires_at = check_tls(tls)
    left_s = expires_at - time.time()
    until = time.strftime("%Y-%m-%d", time.gmtime(expires_at))
    if left_s < _SOON_S:
        text = f"the certificate in {tls.certificate} expires in {left_s / _DAY_S:.0f} days, on {until}"
        yield Finding("TLS", "warning", text, "renew it; a server that runs takes it on SIGHUP")
    else:
        yield Finding("TLS", "ok", f"the certificate in {tls.certificate} is good until {until}")
    yield from _secrecy(tls.key)


def _plain(settings: "Settings", address: str) -> Finding:
    if needs_keys(settings, address) and not ipaddress.ip_address(address).is_loopback:
        text = f"none: whoever is on the way to {address} can read the API keys"
        remedy = "tls_certificate and tls_key; or a proxy that speaks HTTPS, and nothing else that reaches the API"
        return Finding("TLS", "warning", text, remedy)
    return Finding("TLS", "ok", "none: plain HTTP")


def _secrecy(key: Path) -> Iterator[Finding]:
    if key.stat().st_mode & (stat.S_IROTH | _BY_OTHERS):
        text = f"{key} is not its owner's alone: whoever reads it can pass for this server"
        yield Finding("TLS key", "warning", text, f"chmod 600 {key}")

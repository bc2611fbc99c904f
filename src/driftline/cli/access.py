"""Who may ask the API, and over what: the settings made sense of, before anything is started."""

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from driftline.errors import KeysError, SettingsError

if TYPE_CHECKING:
    from driftline.api.tls import Tls
    from driftline.settings import Settings


def access(settings: "Settings", address: str) -> "tuple[Path | None, Tls | None]":
    """The file with the API keys, if requests need one, and what HTTPS is served with, if it is; both of use.

    Args:
        settings: What was asked for.
        address: The numeric address that the API listens on.

    Raises:
        SettingsError: Settings that do not go together.
        KeysError: Keys are needed and there are none, or their file cannot be read.
        TlsError: The certificate or its key is of no use.
    """
    if settings.api_metrics_port and settings.api_metrics_port == settings.port:
        raise SettingsError(f"the API and its metrics cannot both have port {settings.port}")
    return keys_asked_for(settings, address), tls_served(settings)


def needs_keys(settings: "Settings", address: str) -> bool:
    """Whether requests to an API on this address need a key."""
    return settings.auth == "keys" or (settings.auth == "auto" and not ipaddress.ip_address(address).is_loopback)


def keys_asked_for(settings: "Settings", address: str) -> Path | None:
    """The file with the API keys, if requests to an API on this address need one.

    Raises:
        KeysError: They do, and there is none, or the file cannot be read.
    """
    if not needs_keys(settings, address):
        return None
    from driftline.api.keys import read_keys  # noqa: PLC0415 - see read_settings

    path = settings.keys_file
    why = "auth = keys asks for API keys" if settings.auth == "keys" else f"{settings.host} is open to other machines"
    try:
        found = read_keys(path)
    except KeysError:
        if path.exists():
            raise
        found = {}
    if not found:
        data = "" if settings.source("data") == "default" else f" --data {settings.data}"
        where = f" --keys {path}" if settings.keys else data
        raise KeysError(
            f"{why}, and there is no API key in {path}. Draw one: driftline keys add NAME{where}\n"
            "or let everybody in who can reach it: DRIFTLINE_AUTH=none"
        )
    return path


def tls_served(settings: "Settings") -> "Tls | None":
    """What HTTPS is served with, if it is.

    Raises:
        SettingsError: One of the two files is named and the other is not.
        TlsError: They are of no use.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, lacking = ("tls_key", "tls_certificate") if certificate is None else ("tls_certificate", "tls_key")
        raise SettingsError(f"{settings.source(given)} is set and {lacking} is not: HTTPS needs both")
    from driftline.api.tls import Tls, check_tls  # noqa: PLC0415 - see read_settings

    tls = Tls(certificate, key)
    check_tls(tls)
    return tls

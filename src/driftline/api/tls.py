"""TLS by certificate files: read and tried out before anybody is served with them."""

import ssl
from pathlib import Path
from typing import NamedTuple

from driftline.errors import TlsError


class Tls(NamedTuple):
    """What a server proves with who it is.

    Attributes:
        certificate: A PEM file: the certificate, then those that lead from it to one that clients trust.
        key: A PEM file with its private key, not encrypted.
    """

    certificate: Path
    key: Path


def check_tls(tls: Tls) -> float:
    """Returns until when, in Unix time, a client who trusts this certificate can be served with it; now it can.

    Raises:
        TlsError: A file cannot be read or makes no sense, they do not belong together, or it is not the time for them.
    """
    return _shake_hands(load_tls(tls), tls)


def load_tls(tls: Tls) -> ssl.SSLContext:
    """Returns the files as OpenSSL has them; whether anybody would trust them now is not looked at.

    Raises:
        TlsError: A file cannot be read or makes no sense, or they do not belong together.
    """
    for path in tls:
        try:
            path.open("rb").close()
        except OSError as error:
            raise TlsError(f"{path} cannot be read: {error.strerror}") from error
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except ssl.SSLError as error:
        raise TlsError(_why(error, tls)) from error
    return server


def _no_password() -> str:
    # Without this OpenSSL would ask whoever sits at the terminal.
    return ""


def _why(error: ssl.SSLError, tls: Tls) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key in {tls.key} is not that of the certificate in {tls.certificate}"
    encrypted = b"ENCRYPTED" in tls.key.read_bytes()
    if encrypted:
        return f"the key in {tls.key} is encrypted; Driftline needs it without a passphrase, in a file only it can read"
    return f"{tls.certificate} and {tls.key} are not a certificate and its key in PEM: {error.reason or error}"


def _shake_hands(server: ssl.SSLContext, tls: Tls) -> float:
    """Serves one client, who trusts this very certificate, without a network: so all of it is checked.

    Python's ``ssl`` tells what is in a certificate to nobody but a client that has accepted it.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # which names it is for is the client's to say
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(tls.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_side=False)
    ends = [asking, server.wrap_bio(to_server, to_client, server_side=True)]
    try:
        while ends:
            ends = [end for end in ends if not _done(end)]
    except ssl.SSLCertVerificationError as error:
        raise TlsError(f"the certificate in {tls.certificate} is of no use: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise TlsError(f"nobody can be served with {tls.certificate}: {error.reason or error}") from error
    return ssl.cert_time_to_seconds(str((asking.getpeercert() or {})["notAfter"]))


def _done(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True

"""Failures of a check's requests, as sentences: what happened, and what to do. Pure."""

from __future__ import annotations

import re
import socket
import ssl

from multiroute_core import errors
from multiroute_core.cli.checks.results import Code
from multiroute_core.errors import RouteError
from multiroute_core.providers.error_chain import causes
from multiroute_core.runtime.deadline import Expired


def explain_failure(error: Exception, failure: RouteError, address: str, key: str, seconds: float) -> tuple[Code, str]:
    """Return what a failed request is about, and a sentence.

    Args:
        error: The exception of the SDK.
        failure: The same, classified.
        address: Where the request went, without secrets.
        key: Where the key comes from.
        seconds: The time limit.
    """
    chain = [one for cause in causes(error) for one in (cause, *_find_reasons(cause))]
    if isinstance(failure, errors.AuthenticationError):
        status = "" if failure.status is None else f" with HTTP {failure.status}"
        return "authentication", f"{address} refuses the key ({key}){status}; set a valid key of this account."
    if isinstance(error, Expired) or isinstance(failure, errors.AttemptTimeoutError):
        return (
            "timeout",
            f"{address} did not answer within {seconds:g} s; check the address, or give a longer --timeout.",
        )
    if tls := next((one for one in chain if isinstance(one, ssl.SSLError)), None):
        return "tls", f"{address} cannot be used over TLS: {_explain_tls(tls)}"
    if match := next((match for one in chain if (match := _UNVERIFIED.search(str(one)))), None):
        return "tls", f"{address} cannot be used over TLS: {_DISTRUST.rstrip('.')} ({match[1]})."
    if isinstance(failure, errors.APIConnectionError):
        if any(isinstance(one, socket.gaierror) for one in chain) or "name resolution" in str(failure).lower():
            reason = "its host name is unknown; correct the address"
        elif any(isinstance(one, ConnectionRefusedError) or "refused" in str(one).lower() for one in chain):
            reason = "the connection is refused; start the server, or correct the address"
        else:
            reason = f"{failure.message.rstrip('.')}; check the address, the proxy and the firewall"
        return "address", f"{address} cannot be reached: {reason}."
    if isinstance(failure, errors.QuotaExhaustedError):
        return "authentication", f"the account of the key ({key}) has no credit left: {failure.message}"
    return "server", f"{address} failed: {failure.message} Try again later, or check the address."


_UNVERIFIED = re.compile(r"certificate verify failed: ([^(\]]+?) *[(\]]")
"""How OpenSSL's errors read where a transport keeps nothing but their text."""

_DISTRUST = (
    "its certificate is not trusted; correct the address, or name the authority's file in the variable SSL_CERT_FILE."
)


def _explain_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = (error.verify_message or "not verified").rstrip(".")
        return f"{_DISTRUST.rstrip('.')} ({reason})."
    return f"{error.reason or 'the handshake failed'}; does the server speak https?"


def _find_reasons(error: BaseException) -> list[BaseException]:
    """Return the errors that urllib3's and aiohttp's errors hold in attributes."""
    values = (getattr(error, name, None) for name in ("reason", "certificate_error", "os_error"))
    return [value for value in values if isinstance(value, BaseException)]

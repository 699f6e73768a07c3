"""Failures of a check's requests, as sentences: what happened, and what to do. Pure.

The transports keep the text of a socket's error, and not always the error: httpcore raises its own from it, and
urllib3 puts it into the arguments. So the texts of the whole chain decide.
"""

from __future__ import annotations

import re

from multiroute_core import errors
from multiroute_core.cli.checks.results import Code
from multiroute_core.errors import RouteError
from multiroute_core.providers.error_chain import causes
from multiroute_core.providers.provider import UnreadableReply
from multiroute_core.runtime.deadline import Expired

_UNVERIFIED = re.compile(r"certificate verify failed: ([^(\[\]]+?) *[(\[\]]")
_TLS = re.compile(r"\[SSL: (\w+)|SSLError|SSL routines|TLS/SSL")
_NO_CERTIFICATES = re.compile(r"\[X509: |\[Errno (?:2|13|21)\]")
"""What the context of TLS raises for the file of the variable SSL_CERT_FILE; it is read before there is a socket."""
_UNKNOWN_HOST = re.compile(
    r"Name or service not known|nodename nor servname|name resolution|getaddrinfo failed|Failed to resolve|"
    r"No address associated",
    re.IGNORECASE,
)
_CLASS = re.compile(r" \(\w+\)$")
"""The class of an SDK's error at the end of a message."""


_OTHER_SCHEME = re.compile(
    r"Server disconnected|Remote end closed|plain HTTP request was sent to HTTPS|HTTP request to an HTTPS server",
    re.IGNORECASE,
)
"""What a request without TLS gets from a server with TLS: nothing, or the words of nginx or of Go."""


def explain_failure(
    error: Exception,
    failure: RouteError,
    address: str,
    key: str,
    seconds: float,
    *,
    is_own: bool = False,
    proxy: str = "",
) -> tuple[Code, str]:
    """Return what a failed request is about, and a sentence.

    Args:
        error: The exception of the SDK.
        failure: The same, classified.
        address: Where the request went, without secrets.
        key: Where the key comes from, perhaps with what is seen at once in it; empty if none was sent.
        seconds: The time limit.
        is_own: Whether it is the vendor's own address, in which nothing can be misspelt.
        proxy: The proxy on the way, and its variable; empty if there is none.
    """
    if isinstance(failure, errors.AuthenticationError):
        status = "" if failure.status is None else f" with HTTP {failure.status}"
        if not key:
            return "authentication", f"{address} refuses a request without a key{status}; give the route an api_key."
        return "authentication", f"{address} refuses the key ({key}){status}; set a valid key of this account."
    if isinstance(failure, errors.QuotaExhaustedError):
        return "authentication", f"the account of the key ({key}) has no credit left: {read_message(failure)}."
    if isinstance(error, Expired) or isinstance(failure, errors.AttemptTimeoutError):
        way = f" through the proxy {proxy}" if proxy else ""
        advice = "correct the proxy or the address" if proxy else "correct the address"
        return "timeout", f"{address} did not answer{way} within {seconds:g} s; {advice}, or give a --timeout."
    if isinstance(error, UnreadableReply):
        return "server", f"{address} answers with something else than a list of models; correct the address."
    if isinstance(failure, errors.RateLimitError | errors.OverloadedError):
        return "server", f"{address} has no capacity now: {read_message(failure)}; try again later."
    texts = "\n".join((failure.message, *(str(cause) for cause in causes(error))))
    if proxy and "SOCKS" in texts and "not installed" in texts:
        return (
            "package",
            f"{address} is reached through the proxy {proxy}, and SOCKS needs: pip install 'httpx[socks]'.",
        )
    if address.startswith("http://") and _OTHER_SCHEME.search(texts):
        return "address", f"{address} closes the connection without an answer; does this server speak https?"
    if not isinstance(failure, errors.APIConnectionError):
        return "server", f"{address} failed: {read_message(failure)}; try again later, or correct the address."
    if not address.startswith("http://") and _NO_CERTIFICATES.search(texts):
        reason = read_message(failure)
        return "tls", f"the file of the variable SSL_CERT_FILE holds no certificates ({reason}); correct or unset it."
    if proxy and not _UNVERIFIED.search(texts):
        reason = "the connection is refused" if "refused" in texts.lower() else read_message(failure)
        if _UNKNOWN_HOST.search(texts):
            reason = "a host name is unknown"
        advice = "correct the proxy, or name the host in the variable NO_PROXY"
        return "address", f"{address} cannot be reached through the proxy {proxy}: {reason}; {advice}."
    if match := _UNVERIFIED.search(texts):
        advice = "correct the address, or name the authority's file in the variable SSL_CERT_FILE"
        return "tls", f"{address} cannot be used over TLS: its certificate is not trusted ({match[1]}); {advice}."
    if match := _TLS.search(texts):
        reason = (match[1] or "handshake failed").replace("_", " ").lower()
        return "tls", f"{address} cannot be used over TLS: {reason}; does this server speak https?"
    if _UNKNOWN_HOST.search(texts):
        advice = "check the network, the proxy and the name server" if is_own else "correct the address"
        return "address", f"{address} cannot be reached: its host name is unknown; {advice}."
    if "refused" in texts.lower():
        advice = "start the server, or correct the address"
        return "address", f"{address} cannot be reached: the connection is refused; {advice}."
    advice = "check the address, the proxy and the firewall"
    return "address", f"{address} cannot be reached: {read_message(failure)}; {advice}."


def read_message(failure: RouteError) -> str:
    """Return the message of a failure without its full stop and without the class of the SDK's error."""
    return _CLASS.sub("", failure.message).rstrip(".")

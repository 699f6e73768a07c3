"""Proxies of the environment: which one a request takes, and the variable that names it."""

from __future__ import annotations

import os
import urllib.request
from urllib.parse import urlsplit

from multiroute_core._util.redaction import redact_url


def find_proxy(address: str | None) -> str:
    """Return the proxy on the way to an address, without its secrets; empty if there is none.

    The HTTP clients of the SDKs read the same variables.

    Args:
        address: The address; None for the vendor's own, which has https.

    Example:
        >>> find_proxy("http://127.0.0.1:8000/v1")  # doctest: +SKIP
        'http://10.0.0.1:3128 (HTTP_PROXY)'
    """
    parts = urlsplit(address or "https://")
    proxies = urllib.request.getproxies()
    if parts.hostname and urllib.request.proxy_bypass(parts.hostname):
        return ""
    for kind in (parts.scheme, "all"):
        if proxy := proxies.get(kind):
            variables = (name for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY") if os.environ.get(name))
            return f"{redact_url(proxy if '://' in proxy else f'http://{proxy}')} ({next(variables, 'the system')})"
    return ""

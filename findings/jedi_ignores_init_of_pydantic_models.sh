#!/bin/sh
# jedi 0.20.1 (PyPI, Python 3.11, with pydantic 2.12.5) completes a call of a class under `typing.dataclass_transform`,
# such as every pydantic model, from the class's fields, and ignores an `__init__` that the class defines. PEP 681 says
# that no `__init__` is synthesized where the class has one (https://peps.python.org/pep-0681/, read 2026-11-29). So in
# files, where jedi reads the source, the parameters that only `__init__` names are missing. With a live object it is right.
#
# Seen:
#   file:     ['field']
#   live:     ['field', 'more']
#
# Exits with 0 while that holds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check jedi==0.20.1 pydantic==2.12.5 2>/dev/null
cat > "$folder/model.py" <<'PY'
from pydantic import BaseModel


class Model(BaseModel):
    field: int = 0

    def __init__(self, *, field: int = 0, more: int = 0) -> None:
        super().__init__(field=field)
PY
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import jedi
from model import Model


def names(completions):
    return sorted(c.name.removesuffix("=") for c in completions if c.name_with_symbols.endswith("="))


in_file = names(jedi.Script("from model import Model\nModel(", path="user.py").complete())
live = names(jedi.Interpreter("Model(", [{"Model": Model}]).complete())
print("file:    ", in_file)
print("live:    ", live)
assert in_file == ["field"], "jedi has changed"
assert live == ["field", "more"]
PY

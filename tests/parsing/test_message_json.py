"""Parts as JSON and back: nothing is lost."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiroute_core.parsing.message_json import from_json, to_json
from tests.conversations import parts


@pytest.mark.slow
@given(st.lists(parts, max_size=4))
def test_there_and_back_through_real_json(some):
    assert list(from_json(json.loads(json.dumps(to_json(some))))) == some


def test_what_is_no_part_is_refused():
    with pytest.raises(KeyError):
        from_json([{"type": "poem"}])

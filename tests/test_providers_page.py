"""docs/providers.md is what the code says."""

from tests.documents import ROOT
from tests.providers_page import page


def test_the_page_shows_the_code():
    """`python -m tests.providers_page > docs/providers.md` writes it anew."""
    assert (ROOT / "docs/providers.md").read_text(encoding="utf-8") == page()

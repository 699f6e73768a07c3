"""The mutants of what the documentation says: lines of the log, sentences of errors, and the matrix of providers."""

from tests.mutants.mutant import Mutant

TROUBLE = "tests/test_troubleshooting.py"

PAGES = (
    Mutant(
        "a line of the log has other words than its row",
        "multiroute_core/ledger/writer.py",
        "is written again; %d queued records were written.",
        "works again; %d queued records were written.",
        f"{TROUBLE} -k has_a_row",
    ),
    Mutant(
        "an error has another sentence than the page",
        "multiroute_core/engine/answer_review.py",
        "the check {check.name!r} did not accept it",
        "{check.name!r} did not accept it",
        f"{TROUBLE} -k blocks_print",
    ),
    Mutant(
        "a model has another context window than the page",
        "multiroute_core/providers/models.py",
        'Model("openai", "gpt-4o*", 128_000, 16_384),',
        'Model("openai", "gpt-4o*", 64_000, 16_384),',
        "tests/test_providers_page.py",
    ),
)

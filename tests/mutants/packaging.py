"""The mutants of what is packaged, and of what a user sees whose installation lacks a part."""

from tests.mutants.mutant import Mutant

TESTS = "tests/test_packaging.py"

PACKAGING = (
    Mutant(
        "the index's page has dead links",
        "pyproject.toml",
        "replacement = '\\1'",
        "replacement = '[\\1](\\2)'",
        f"{TESTS} -k dead_links",
    ),
    Mutant(
        "the wheel lacks a package",
        "pyproject.toml",
        'packages = ["multiroute_core", "langchain_multiroute", "llamaindex_multiroute"]\n\n[tool.hatch.build.targets.sdist]',
        'packages = ["multiroute_core", "langchain_multiroute"]\n\n[tool.hatch.build.targets.sdist]',
        f"{TESTS} -k wheel_holds",
    ),
    Mutant(
        "an extra is not documented",
        "docs/installation.md",
        "| `redis` | a shared cache",
        "| redis | a shared cache",
        f"{TESTS} -k documentation",
    ),
    Mutant(
        "a missing framework has no advice",
        "multiroute_core/_util/lazy.py",
        "            if extra is None:\n                raise\n",
        "            raise\n",
        "tests/test_exports.py -k missing_framework",
    ),
)

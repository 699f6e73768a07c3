"""What an import loads, and which way the arrows point."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = (
    "openai anthropic google.genai google.generativeai redis langchain_core llama_index httpx httpx2 requests "
    "genai_prices xllamacpp pydantic asyncio.base_events"
).split()


def loaded(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_core_loads_no_framework_no_sdk_and_no_redis():
    modules = loaded("multiroute_core")
    heavy = [name for name in HEAVY if name in modules and name != "asyncio.base_events"]
    assert heavy == []


def test_an_adapter_loads_its_own_framework_only():
    langchain, llama = loaded("langchain_multiroute"), loaded("llamaindex_multiroute")
    assert "llama_index" not in langchain
    assert "langchain_core" not in llama
    # LangChain itself loads httpx; the SDKs are nobody's business until a route is built.
    for name in ("openai", "anthropic", "google.genai", "google.generativeai", "redis"):
        assert name not in langchain
        assert name not in llama


LAYERS = (
    ("langchain_multiroute", "llamaindex_multiroute"),
    ("adapter", "cli"),
    ("router",),
    ("batch", "configuration", "engine", "request_log"),
    ("budgets", "cache", "limits"),
    ("state",),
    ("report", "routing", "serving", "testing"),
    ("ledger", "prompts", "providers"),
    ("parsing", "pricing"),
    ("route", "telemetry"),
    ("events", "guards", "migration", "options"),
    ("errors",),
    ("types",),
    ("messages", "resilience", "runtime", "tools"),
    ("_util", "display", "provider_table"),
)
"""From the top down: a module may import from its own layer or a lower one."""


def room(module: str) -> str:
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "multiroute_core" else first


@functools.cache
def imports(*, types: bool = False) -> list[tuple[str, str]]:
    """Every import between two of our modules, those inside functions too.

    Args:
        types: Whether those under `TYPE_CHECKING` count, which load nothing.
    """
    found = []
    for package in ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text())
            typing_only = {
                inner
                for node in ast.walk(tree)
                if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
                for inner in ast.walk(node)
            }
            for node in ast.walk(tree):
                if node in typing_only and not types:
                    continue
                if isinstance(node, ast.ImportFrom) and node.module:
                    found += [(name, target) for target in targets(node)]
                elif isinstance(node, ast.Import):
                    found += [(name, alias.name) for alias in node.names]
    ours = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")
    return [(a, b) for a, b in found if b.startswith(ours) and a != b]


def targets(node: ast.ImportFrom) -> list[str]:
    """`from package import module` imports the module, `from module import name` does too."""
    names = []
    for alias in node.names:
        inner = f"{node.module}.{alias.name}"
        path = ROOT / Path(*inner.split("."))
        names.append(inner if path.with_suffix(".py").exists() or path.is_dir() else node.module)
    return names


def test_there_are_few_layers():
    assert len(LAYERS) <= 15


def test_arrows_point_one_way():
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    arrows = imports()
    assert len(arrows) > 50
    wrong = [
        f"{a} -> {b}"
        for a, b in arrows
        if room(a)
        and room(b)
        and room(a) != room(b)
        and level[room(a)] >= level[room(b)]
        and not (level[room(a)] == level[room(b)] and (room(a), room(b)) in SAME_LAYER)
    ]
    assert wrong == []


SAME_LAYER = {("tools", "messages")}


def test_there_are_no_circles():
    graph: dict[str, set[str]] = {}
    for a, b in imports(types=True):
        graph.setdefault(a, set()).add(b)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        if module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_frameworks_do_not_know_each_other_and_the_core_knows_neither():
    text = {p: p.read_text() for p in (ROOT / "multiroute_core").rglob("*.py")}
    for path, code in text.items():
        for name in ("langchain", "llama_index"):
            assert f"import {name}" not in code, path
            assert f"from {name}" not in code, path


def test_no_room_is_over_full():
    full = {
        str(path.relative_to(ROOT)): lines
        for package in ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST.get(path.name, 420)
    }
    assert full == {}


LONGEST = {"router.py": 500, "chat_model.py": 450, "llm.py": 460}
"""About 300 lines are full, but one idea stays in one file; of a public face, two thirds are arguments and docstrings."""

"""The mutants of the prompt optimizer."""

from tests.mutants.mutant import Mutant

FOLDER = "multiroute_core/prompts/"
RULES = "tests/prompts/test_rules.py"
CONVERSATIONS = "tests/prompts/test_conversations.py"
STAGE = "tests/engine/test_optimizing.py"

OPTIMIZER = (
    Mutant(
        "a conversation is trimmed to the limit, one exchange at a time",
        FOLDER + "trimming.py",
        "budget.reserve <= budget.target",
        "budget.reserve <= budget.limit",
        CONVERSATIONS,
    ),
    Mutant(
        "a part with a raw form is shortened",
        FOLDER + "message_texts.py",
        "is_editable and part.raw is None) for part",
        "is_editable) for part",
        CONVERSATIONS,
    ),
    Mutant(
        "a reference may mean two passages",
        FOLDER + "repeats.py",
        "and excerpts[excerpt] == 1",
        "and True",
        RULES,
    ),
    Mutant(
        "a bracket that stays open protects nothing",
        FOLDER + "blocks.py",
        "if depth := _find_depth(paragraph):",
        "if depth := 0:",
        RULES,
    ),
    Mutant(
        "summaries are forgotten",
        FOLDER + "summary.py",
        "if (remembered := memory.get(keys[place])) is not None:",
        "if (remembered := memory.get(b'')) is not None:",
        STAGE,
    ),
    Mutant(
        "a remembered summary may exceed the budget",
        FOLDER + "optimizer.py",
        "return finish(summary, room)",
        "return summary",
        STAGE,
    ),
    Mutant(
        "a list of page numbers is boilerplate",
        FOLDER + "boilerplate.py",
        "if 2 * empty > len(steps):",
        "if 2 * empty > 2 * len(steps):",
        RULES,
    ),
    Mutant(
        "a judge judges its own verdicts",
        "multiroute_core/options.py",
        '_INHERITED = ("tenant",',
        '_INHERITED = ("accept", "model", "tenant",',
        STAGE,
    ),
    Mutant(
        "a count shows the provider what a guard hides",
        "multiroute_core/engine/token_counting.py",
        "isinstance(stage, GuardStage | OptimizerStage)",
        "isinstance(stage, OptimizerStage)",
        STAGE,
    ),
)

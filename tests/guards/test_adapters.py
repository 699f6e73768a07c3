"""Presidio and llm-guard as guards: the real packages, which `scripts/adapters` installs.

Their models need a download, so Presidio runs on spaCy's blank pipeline: its patterns work without a model.
"""

import importlib
import pickle
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from multiroute_core import ConfigurationError, GuardBlockedError, Router
from multiroute_core.guards import PresidioFinder, mask_personal_data, scan_with_llm_guard
from multiroute_core.testing.behaviours import Answer
from multiroute_core.testing.scripted import provider_of, scripted_route
from tests.providers.faces import FACES, ask

WITHOUT = "is not installed: run scripts/adapters"


def parrot(call):
    return Answer(f"You said: {call.request.messages[-1].text}")


def build_analyzer():
    spacy: Any = importlib.import_module("spacy")
    presidio: Any = importlib.import_module("presidio_analyzer")
    engines: Any = importlib.import_module("presidio_analyzer.nlp_engine")
    engine = engines.SpacyNlpEngine()
    engine.nlp = {"en": spacy.blank("en")}
    return presidio.AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


class TestPresidio:
    @pytest.mark.parametrize("face", FACES)
    def test_what_presidio_finds_is_masked_and_restored(self, face):
        pytest.importorskip("presidio_analyzer", reason=f"presidio-analyzer {WITHOUT}")
        finder = PresidioFinder(["US_SSN", "CRYPTO"], analyzer=build_analyzer, threshold=0.4)
        text = "My social security number is 078-05-1126, mail ada@example.org"
        with Router([scripted_route("a", parrot)], guards=[mask_personal_data(["email"], finder=finder)]) as router:
            assert ask(face, router, text).text == f"You said: {text}"
            (take,) = provider_of(router.routes[0]).takes
        assert take.asked.request.messages[-1].text == "My social security number is [US_SSN_1], mail [EMAIL_1]"

    def test_it_is_pickled_with_the_function_that_builds_its_engine(self):
        pytest.importorskip("presidio_analyzer", reason=f"presidio-analyzer {WITHOUT}")
        finder = pickle.loads(pickle.dumps(PresidioFinder(["US_SSN"], analyzer=build_analyzer)))
        assert finder.identity == "presidio ('US_SSN',) en 0.5 tests.guards.test_adapters.build_analyzer"
        assert finder.kinds == ("us_ssn",)

    def test_finders_with_other_analyzers_are_others(self):
        pytest.importorskip("presidio_analyzer", reason=f"presidio-analyzer {WITHOUT}")
        one, other = (PresidioFinder(["US_SSN"], analyzer=build_analyzer()) for _ in range(2))
        assert one.identity != other.identity

    @pytest.mark.parametrize("text", ["\ud83d ", "A word. " * 140_000])
    def test_neither_half_an_emoji_nor_a_long_text_is_too_much(self, text):
        pytest.importorskip("presidio_analyzer", reason=f"presidio-analyzer {WITHOUT}")
        finder = PresidioFinder(["US_SSN"], analyzer=build_analyzer, threshold=0.4)
        text += "My social security number is 078-05-1126"
        (span,) = finder(text)
        assert text[span.start : span.end] == "078-05-1126"

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"entities": ["PERSONS"]}, "Unknown entity 'PERSONS': did you mean 'PERSON'"),
            ({"entities": ["US_SSN"], "language": "xx"}, "language='xx' is not valid; the analyzer has no recognizers"),
        ],
    )
    def test_what_presidio_does_not_know_is_named(self, settings, message):
        pytest.importorskip("presidio_analyzer", reason=f"presidio-analyzer {WITHOUT}")
        with pytest.raises(ConfigurationError, match=message):
            PresidioFinder(analyzer=build_analyzer, **settings)

    @pytest.mark.parametrize("error", [OSError("no network"), SystemExit(1)])
    def test_an_engine_that_cannot_be_built_ends_no_process(self, error, monkeypatch):
        """Presidio downloads a model that is missing, and exits if it cannot."""

        class AnalyzerEngine:
            def __init__(self):
                raise error

        monkeypatch.setitem(sys.modules, "presidio_analyzer", SimpleNamespace(AnalyzerEngine=AnalyzerEngine))
        with pytest.raises(ConfigurationError, match="engine cannot be built .* python -m spacy download"):
            PresidioFinder(["PERSON"])

    @pytest.mark.parametrize(
        ("settings", "message"), [({"threshold": "high"}, "threshold='high'"), ({"analyzer": "x"}, "analyzer='x'")]
    )
    def test_wrong_types_are_named(self, settings, message):
        with pytest.raises(ConfigurationError, match=f"{message} is not valid"):
            PresidioFinder(["PERSON"], **{"analyzer": object, **settings})

    @pytest.mark.parametrize("entities", ["PERSON", [], ["person"], ["A B"], None, [3]])
    def test_entities_are_presidios_names(self, entities):
        with pytest.raises(ConfigurationError, match="PresidioFinder needs entities"):
            PresidioFinder(entities, analyzer=object)


class TestLlmGuard:
    @pytest.mark.parametrize("face", FACES)
    def test_an_input_scanner_sees_the_prompt(self, face):
        scanners = pytest.importorskip("llm_guard.input_scanners", reason=f"llm-guard {WITHOUT}")
        guard = scan_with_llm_guard(scanners.BanSubstrings(["nightingale"]))
        with Router([scripted_route("a", parrot)], guards=[guard]) as router:
            assert ask(face, router, "The lark").text == "You said: The lark"
            error = ask(face, router, "The nightingale").error
        assert isinstance(error, GuardBlockedError)
        assert str(error) == "The guard 'BanSubstrings' blocked a text of origin 'user': risk 1.00."

    def test_a_scanner_may_encode_what_it_reads(self):
        class Scanner:
            def scan(self, prompt):
                prompt.encode()
                return prompt, True, -1.0

        with Router([scripted_route("a", parrot)], guards=[scan_with_llm_guard(Scanner())]) as router:
            assert ask("generate", router, "half: \ud83d").text == "You said: half: \ud83d"

    @pytest.mark.parametrize("face", FACES)
    def test_an_output_scanner_sees_the_answer(self, face):
        scanners = pytest.importorskip("llm_guard.output_scanners", reason=f"llm-guard {WITHOUT}")
        scanner = scanners.BanSubstrings(["nightingale"], redact=True)
        with Router([scripted_route("a", parrot)], guards=[scan_with_llm_guard(scanner, action="rewrite")]) as router:
            assert ask(face, router, "The nightingale").text == "You said: The [REDACTED]"

    @pytest.mark.parametrize(
        ("scanner", "options", "message"),
        [
            ("BanTopics", {}, "'BanTopics' is not a scanner"),
            (int, {}, "is not a scanner"),
            (None, {"action": "stop"}, "action='stop' is not valid"),
        ],
    )
    def test_bad_settings_are_named(self, scanner, options, message):
        with pytest.raises(ConfigurationError, match=message):
            scan_with_llm_guard(scanner, **options)

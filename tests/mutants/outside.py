"""The mutants of what comes from outside, and of what is rewritten for a vendor's API and read back."""

from tests.mutants.mutant import Mutant

GUARD = "multiroute_core/providers/response_guard.py"
JSON = "multiroute_core/_util/json_text.py"
RESTORING = "multiroute_core/providers/restoring.py"
BOUNDS = "tests/hostile/test_reply_bounds.py"
FORMS = "tests/test_forms_and_tools.py"
CALLS = "tests/langchain/test_malformed_calls.py"
FAILURES = "tests/providers/test_failure_forms.py"

OUTSIDE = (
    Mutant(
        "replies have no bound",
        GUARD,
        "            self._left -= len(piece)\n            if self._left < 0:\n                self._inner.close()",
        "            if False:\n                self._inner.close()",
        f"{BOUNDS} -k 'too_large or without_an_end'",
    ),
    Mutant("redirects are followed anywhere", GUARD, "if here != there:", "if False:", f"{BOUNDS} -k another_origin"),
    Mutant(
        "JSON may be nested at will",
        JSON,
        "if brackets > MAX_DEPTH and nests_too_deep(value):",
        "if False:",
        f"{BOUNDS} -k 'arguments or deep_error'",
    ),
    Mutant(
        "arguments may be nested at will",
        JSON,
        "if _count_brackets(text) > MAX_DEPTH and nests_too_deep(value):",
        "if False:",
        f"{BOUNDS} -k arguments",
    ),
    Mutant(
        "names of tools stay as the vendor knows them",
        RESTORING,
        "name = part.name and self._names.get(part.name, part.name)",
        "name = part.name",
        f"{FORMS} -k beyond",
    ),
    Mutant(
        "maps stay lists of entries", RESTORING, "return _with_maps(inner)", "return inner", f"{FORMS} -k strict_tool"
    ),
    Mutant(
        "two names become one",
        "multiroute_core/providers/tool_names.py",
        "next(place for place in places if place not in wire_names)",
        "stem",
        f"{FORMS} -k 'beyond or same_way'",
    ),
    Mutant(
        "media go where they cannot be read",
        "multiroute_core/parsing/media_types.py",
        'return modality if kind in _USUAL or modality == "video" else kind',
        "return modality",
        f"{FORMS} -k 'medium_goes or hears'",
    ),
    Mutant(
        "malformed calls stay without an answer",
        "multiroute_core/parsing/conversation.py",
        "    _refuse(waiting, conversation)\n    if messages",
        "    if messages",
        f"{CALLS} -k 'history_says or both_are_answered'",
    ),
    Mutant(
        "calls that were cut before their arguments are run",
        "multiroute_core/providers/openai/chat_calls.py",
        "closing = CUT if is_cut and not arguments.strip() else",
        'closing = "" if True else',
        f"{CALLS} -k cut_before",
    ),
    Mutant(
        "a quote ends the input of a custom tool",
        "multiroute_core/providers/openai/custom.py",
        "return json.dumps(text, ensure_ascii=False)[1:-1]",
        "return text",
        "tests/langchain/test_custom_tools.py -k 'pieces or call_and_its_answer'",
    ),
    Mutant(
        "refusals are text to LangChain",
        "multiroute_core/messages.py",
        'part.raw is not None and "refusal" in part.raw.body',
        "False",
        "tests/langchain/test_refusals.py -k 'standard_block'",
    ),
    Mutant(
        "an interrupted start leaves its thread listed",
        "multiroute_core/runtime/thread_start.py",
        'getattr(threading, "_limbo", {}).pop(thread, None)',
        "pass",
        "tests/runtime/test_thread_start.py",
    ),
    Mutant(
        "a fork does not wait for the ledger",
        "multiroute_core/ledger/sqlite_file.py",
        "        self._file: tuple[int, int] | None = None\n        close_at_fork(self)\n",
        "        self._file: tuple[int, int] | None = None\n",
        "tests/runtime/test_sqlite_forks.py",
    ),
    Mutant(
        "a fork does not wait for a report",
        "multiroute_core/ledger/sqlite_selection.py",
        "            close_at_fork(self)\n",
        "",
        "tests/runtime/test_sqlite_forks.py",
    ),
    Mutant(
        "a header may hold a line break",
        "multiroute_core/providers/httptools_transport.py",
        'head.count(b"\\n") == len(headers) + 1 and _HEAD',
        "_HEAD",
        "tests/providers/test_httptools_transport.py -k invalid",
    ),
    Mutant(
        "what comes behind a response is the next one's",
        "multiroute_core/providers/response_parser.py",
        "return self._keeps_alive and not self.has_surplus",
        "return self._keeps_alive",
        "tests/providers/test_httptools_transport.py -k behind",
    ),
    Mutant(
        "a child uses its parent's connections",
        "multiroute_core/providers/httptools_transport.py",
        "            forks.renew(self, _idle=dict)",
        "            bool(forks)",
        "tests/providers/test_httptools_transport.py -k forked",
    ),
    Mutant(
        "as many calls as one likes are in flight",
        "multiroute_core/providers/httptools_async_transport.py",
        "while self._busy >= self._max_busy:",
        "while False:",
        "tests/providers/test_aiohttp_transport.py -k more_calls",
    ),
    Mutant(
        "a compressed answer is taken for plain",
        "multiroute_core/providers/direct_calls.py",
        '(b"content-encoding", b"set-cookie", b"set-cookie2")',
        '(b"set-cookie", b"set-cookie2")',
        "tests/providers/test_direct_calls.py -k compressed",
    ),
    Mutant(
        "an answer without its tool call is an answer",
        "multiroute_core/providers/openai/chat_answer.py",
        "        if self._has_nothing():\n            raise",
        "        if False:\n            raise",
        f"{FAILURES} -k each_form",
    ),
    Mutant(
        "an empty error is an error",
        "multiroute_core/providers/in_band.py",
        "return not _is_nothing(error) and not (isinstance(error, dict) and _is_success(mapping(error)))",
        "return True",
        f"{FAILURES} -k each_form",
    ),
    Mutant(
        "an event with a code is never an error",
        "multiroute_core/providers/in_band.py",
        "    if any(_is_code_of_error(code, named",
        "    if False and any(_is_code_of_error(code, named",
        f"{FAILURES} -k reports_an_error",
    ),
    Mutant(
        "an error beside an empty answer is overlooked",
        "multiroute_core/engine/attempt.py",
        "            if not self.committed and decoder.complete:\n",
        "            if False:\n",
        f"{FAILURES} -k beside_an_error",
    ),
    Mutant(
        "an event that reports progress is an error",
        "multiroute_core/providers/in_band.py",
        "is None or name in _PROGRESS:",
        "is None:",
        f"{FAILURES} -k each_form",
    ),
    Mutant(
        "a page that an integration fails on is a bug",
        "multiroute_core/providers/whole.py",
        "    has_reply = replied\n",
        "    return None\n    has_reply = replied\n",
        f"{FAILURES} -k wrapped",
    ),
    Mutant(
        "a filter inside a stream opens the breaker",
        "multiroute_core/engine/verdicts.py",
        "return error.reported.counts_against_breaker",
        "return error.counts_against_breaker",
        "tests/engine/test_reported_errors.py -k filter_or_limit",
    ),
    Mutant(
        "tools that cannot be streamed are no longer called",
        "multiroute_core/routing/learned.py",
        'beside = error.beside if error.beside in needs else ""',
        'beside = ""',
        "tests/engine/test_reported_errors.py -k streamed_are_still_called",
    ),
    Mutant(
        "a moment in Retry-After is a span",
        "multiroute_core/providers/retry_after.py",
        "if abs(moment - now) < NEAR:",
        "if False:",
        "tests/providers/test_retry_after.py -k beyond_the_standard",
    ),
    Mutant(
        "a permission's code hides a filter",
        "multiroute_core/providers/error_body.py",
        'text = error_words.GRPC_SENTENCES.get(text.rstrip("."), text)',
        "bool(error_words)",
        "tests/providers/test_classify_gateways.py -k comes_to_its_class",
    ),
)

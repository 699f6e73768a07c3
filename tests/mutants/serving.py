"""The mutants of serving: of what clients may do, what they are told, and what ends when they leave."""

from tests.mutants.mutant import Mutant

FOLDER = "multiroute_core/serving/"

SERVING = (
    Mutant(
        "a client that leaves goes on paying",
        FOLDER + "pump.py",
        "            self._task.cancel()\n",
        "            pass\n",
        "tests/serving/test_streaming.py -k leaves",
    ),
    Mutant(
        "a sync stream outlives its client",
        FOLDER + "pump.py",
        "        scope.cancel()  # this is what the router sees in the thread\n",
        "",
        "tests/serving/test_streaming.py -k leaves",
    ),
    Mutant(
        "a client chooses its tenant",
        FOLDER + "service.py",
        "        if tenant is not None:\n            options",
        '        if tenant is not None and "tenant" not in options:\n            options',
        "tests/serving/test_requests.py -k tenant",
    ),
    Mutant(
        "a page of another site calls a server without keys",
        FOLDER + "gate.py",
        "if not all(is_loopback(_without_port(host)) for host in hosts):",
        "if not hosts:",
        "tests/serving/test_server.py -k page",
    ),
    Mutant(
        "our own key's failure is the client's",
        FOLDER + "errors.py",
        "        e.AuthenticationError,\n        502,\n",
        "        e.AuthenticationError,\n        401,\n",
        "tests/serving/test_errors.py",
    ),
    Mutant(
        "a refusal looks like the work of a filter",
        FOLDER + "encoding/chat.py",
        'if response.finish_reason == "refusal" and any(map(is_refusal, response.parts)):',
        "if False:",
        "tests/serving/test_encoding.py -k refusal",
    ),
    Mutant(
        "citations and the block's end are lost in a stream",
        FOLDER + "encoding/messages.py",
        'if kind == "text" and raw is not None:',
        "if False:",
        "tests/serving/test_encoding.py -k citations",
    ),
    Mutant(
        "the input of a custom tool keeps the router's own wrapping",
        FOLDER + "encoding/custom_calls.py",
        "return text if isinstance(text, str) else arguments",
        "return arguments",
        "tests/serving/test_encoding.py -k custom",
    ),
)

"""The mutants of the cache: of its key, of what is kept, and of who waits for whom."""

from tests.mutants.mutant import CACHE, KEY, WORLDS, Mutant

CACHING = "multiroute_core/cache/caching.py"
RECALL = "multiroute_core/engine/caching.py"
ENTRY = "multiroute_core/cache/entry.py"
FLIGHT = "multiroute_core/cache/single_flight.py"
KEYS = "multiroute_core/cache/key.py"
STORE = "multiroute_core/cache/memory.py"

CACHED = (
    Mutant("tenants share their answers", KEYS, '"tenant": tenant, ', "", KEY),
    Mutant("any model may have answered", KEYS, '"among": among, ', "", KEY),
    Mutant("0 and 0.0 are two numbers", KEYS, "int(value) if value.is_integer() and", "int(value) if False and", KEY),
    Mutant(
        "the ids of calls count",
        KEYS,
        'return ["id", self._ids[value]] if value in self._ids',
        "return value if True",
        KEY,
    ),
    Mutant("a vendor's own words do not count", KEYS, 'return ["Raw", value.api, body]', 'return ["Raw"]', KEY),
    Mutant("answers are given for ever", RECALL, "entry.fresh_until > self._wall()", "True", WORLDS),
    Mutant("cut answers are kept", CACHING, "response.finish_reason in self.cacheable_finish_reasons", "True", CACHE),
    Mutant("what a backup says is kept", CACHING, "response.route not in backups or", "True or", CACHE),
    Mutant("what was mended is kept", CACHING, "not (has_interruption and", "not (False and", CACHE),
    Mutant(
        "what was void is kept",
        RECALL,
        "                        chunk_parts.clear()\n",
        "                        pass\n",
        CACHE,
    ),
    Mutant(
        "whoever is given up is waited for",
        RECALL,
        "lead.flight, value)\n                if lead.token",
        "type(lead.flight)(), value)\n                if lead.token",
        CACHE,
    ),
    Mutant("who fails hands over to the next to fail", RECALL, "lead.flight, failed=True)", "lead.flight)", CACHE),
    Mutant(
        "nobody waits for an identical request",
        FLIGHT,
        "flight = self._flights.setdefault(key, mine)",
        "flight = mine",
        WORLDS,
    ),
    Mutant("one waits for oneself", FLIGHT, "if threading.get_ident() != self._thread:", "if True:", CACHE),
    Mutant("an old answer is no better than none", RECALL, "context.stale_entry = entry", "pass", WORLDS),
    Mutant("a hit costs what it cost", ENTRY, "cost=0.0,", "cost=record.cost,", WORLDS),
    Mutant("a hit uses tokens again", ENTRY, "usage=NOTHING,", "usage=Usage(1, 1),", WORLDS),
    Mutant("a stream comes back in one piece", ENTRY, "entry_pieces if record.streamed else None", "None", WORLDS),
    Mutant(
        "what is used stays no longer",
        STORE,
        "            self._entries.move_to_end(key)\n",
        "",
        "tests/cache/test_memory.py",
    ),
)

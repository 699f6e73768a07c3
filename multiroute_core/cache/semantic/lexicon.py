"""Word lists of the lexical guards."""

from __future__ import annotations

NUMERALS = {
    word: str(number)
    for number, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 2
    )
}
"""Number words; without "one", which is as often a pronoun."""

_NEGATIONS = """
not no never without cannot neither nor none nobody nothing nowhere except unless
dont doesnt didnt isnt arent wasnt werent cant couldnt wont wouldnt shouldnt havent hasnt
nicht kein keine keinen keiner nie ohne ne pas jamais sans nunca sin não sem non mai senza niet geen zonder не нет без
"""

NEGATIONS = frozenset(_NEGATIONS.split())
"""Negations in English and in some other European languages."""

_OPPOSITES = """
increase/decrease gain/lose win/lose buy/sell best/worst better/worse good/bad most/least more/less
maximum/minimum max/min high/low higher/lower highest/lowest before/after above/below over/under first/last
start/stop start/end begin/end open/close on/off in/out up/down left/right north/south east/west enable/disable
allow/deny allow/forbid allowed/banned legal/illegal add/remove add/delete create/delete install/uninstall
import/export upload/download encrypt/decrypt encode/decode input/output push/pull send/receive lend/borrow
accept/reject join/leave love/hate like/hate like/dislike pros/cons advantage/disadvantage
advantages/disadvantages benefits/risks positive/negative true/false possible/impossible safe/dangerous
safe/unsafe easy/hard easy/difficult fast/slow hot/cold old/new old/young long/short large/small big/small
rich/poor strong/weak early/late internal/external inside/outside public/private single/married alive/dead
presence/absence same/different male/female man/woman men/women boy/girl boys/girls husband/wife mother/father
son/daughter brother/sister day/night today/tomorrow yesterday/tomorrow next/previous ascending/descending
horizontal/vertical dog/cat cause/cure similarities/differences similarity/difference similar/different
"""


def _both_ways(pairs: str) -> dict[str, frozenset[str]]:
    links: dict[str, set[str]] = {}
    for pair in pairs.split():
        one, other = pair.split("/")
        links.setdefault(one, set()).add(other)
        links.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in links.items()}


OPPOSITES = _both_ways(_OPPOSITES)
"""Antonyms, which reverse the meaning of a question."""

_EMPTY = """
a an the of to in on at for by with from and or is are was were be been being do does did have has had i you he she it
we they me him us them my your his her its our their one some any this that these those what which who whom whose when
where why how can could should would will shall may might must if as so than then there here just really ever get got
"""

EMPTY = frozenset(_EMPTY.split())
"""Stop words."""

ASKS = {"who": "who", "whom": "who", "whose": "who", "when": "when", "where": "where", "why": "why", "how": "how"}
"""Question words, and what they ask for."""

AMOUNTS = frozenset(("many", "much", "long", "old", "far", "often", "tall", "big", "fast", "high", "soon"))
"""Words after "how" that ask for an amount."""

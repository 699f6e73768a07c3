"""Internal: the semantic cache, which finds responses to paraphrases. Opt-in, since a match is occasionally wrong.

`settings` holds the user's configuration, `paraphrases` the matcher that the router calls. `minilm` is the bundled
embedding model, `index` the interface of the vector indexes (`memory`, `redis`), `veto` the lexical guards against
similar texts with a different meaning, with word lists in `lexicon`.
"""

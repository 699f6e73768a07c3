"""Finds the answer to what was asked in other words: opt-in, since it is wrong now and then.

`settings` is what a user gives, `paraphrases` what the router asks. The parts: `minilm` the model that comes in a
wheel, `index` where vectors are (`memory`, `redis`), `veto` why two texts that are near ask for different things, with
the words in `lexicon`.
"""

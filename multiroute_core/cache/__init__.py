"""One memory: what was answered once need not be asked again.

`key` says when two requests are the same, `entry` what is kept of an answer, `flight` lets equal requests fly once.
Where it is kept is a `store`: `memory`, `sqlite` or `redis`. `semantic` finds what was asked in other words.
"""

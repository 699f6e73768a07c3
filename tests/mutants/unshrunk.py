"""Hypothesis without shrinking: a mutant is to be noticed, not to be understood."""

from hypothesis import Phase, settings

settings.register_profile("unshrunk", phases=[Phase.explicit, Phase.generate], database=None, deadline=None)

"""Synthetic texts for the prompt-injection classifier, written for this project; none of them is used to measure it."""

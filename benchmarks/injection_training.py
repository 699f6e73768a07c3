"""Trains the prompt-injection classifier: logistic regression with an L2 penalty over the windows of texts.

A text is a bag of windows, and is an injection if one of them is (multiple-instance learning). So training repeats:
each harmless text gives all of its windows as harmless examples, each injection the window that scores highest so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multiroute_core.guards.injection.features import (
    BUCKETS,
    Window,
    extract_windows,
)
from multiroute_core.guards.injection.weights import CONCEPT_OFFSET

PENALTY = 0.02
"""L2 penalty for each unit of example weight's total of one thousand."""

ROUNDS = 3
_WINDOWS: dict[str, list[Window]] = {}


@dataclass(frozen=True, slots=True)
class Example:
    """A text for training.

    Attributes:
        text: The text.
        label: 1 for an injection, 0 for a harmless text.
        weight: How much it counts.
    """

    text: str
    label: int
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model.

    Attributes:
        weights: One for each bucket.
        bias: The score of a window without features.
    """

    weights: Any
    bias: float

    def score(self, text: str) -> float:
        """Log-odds of the window that scores highest; those of a text without words are very low."""
        windows = windows_of(text)
        return max((self.score_window(window) for window in windows), default=-10.0)

    def score_window(self, window: Window) -> float:
        indices, values = vectorize(window)
        return float(self.weights[indices] @ values) + self.bias


@dataclass(frozen=True, slots=True)
class _Matrix:
    """Rows of a sparse matrix, one after another."""

    starts: Any
    indices: Any
    values: Any
    rows: Any = field(repr=False)

    def times(self, vector: Any) -> Any:
        return np.add.reduceat(self.values * vector[self.indices], self.starts)

    def transposed_times(self, vector: Any) -> Any:
        return np.bincount(self.indices, self.values * vector[self.rows], BUCKETS)


def windows_of(text: str) -> list[Window]:
    """The windows of a text, computed once."""
    if text not in _WINDOWS:
        _WINDOWS[text] = extract_windows(text)
    return _WINDOWS[text]


def vectorize(window: Window) -> tuple[Any, Any]:
    """The buckets of a window and their values: those of a region have length one together."""
    groups = [np.fromiter(sorted(group), np.int32) for group in (window.words, window.characters, window.concepts)]
    sizes = [len(groups[0]), len(groups[1]), len(groups[2]) + CONCEPT_OFFSET]
    values = [np.full(len(group), size**-0.5) for group, size in zip(groups, sizes, strict=True) if len(group)]
    return np.concatenate(groups), np.concatenate(values)


def _stack(windows: Sequence[Window]) -> _Matrix:
    vectors = [vectorize(window) for window in windows]
    lengths = np.array([len(indices) for indices, _ in vectors])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    indices = np.concatenate([indices for indices, _ in vectors])
    values = np.concatenate([values for _, values in vectors])
    return _Matrix(starts, indices, values, np.repeat(np.arange(len(windows)), lengths))


def _minimize(function: Callable[[Any], tuple[float, Any]], start: Any, steps: int = 60, memory: int = 8) -> Any:
    """L-BFGS with backtracking (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.5)."""
    point = start
    loss, gradient = function(point)
    pairs: list[tuple[Any, Any]] = []
    for _ in range(steps):
        direction = gradient.copy()
        factors = []
        for step, change in reversed(pairs):
            factor = (step @ direction) / (step @ change)
            direction -= factor * change
            factors.append(factor)
        if pairs:
            step, change = pairs[-1]
            direction *= (step @ change) / (change @ change)
        for (step, change), factor in zip(pairs, reversed(factors), strict=True):
            direction += (factor - (change @ direction) / (step @ change)) * step
        slope = float(direction @ gradient)
        rate = 1.0
        while True:
            candidate = point - rate * direction
            new_loss, new_gradient = function(candidate)
            if new_loss <= loss - 1e-4 * rate * slope or rate < 1e-6:
                break
            rate /= 2
        step = candidate - point
        change = new_gradient - gradient
        improvement = loss - new_loss
        point = candidate
        loss = new_loss
        gradient = new_gradient
        if step @ change > 1e-12:
            pairs = [*pairs[-memory + 1 :], (step, change)]
        if improvement < 1e-4 * abs(loss):
            break
    return point


def train(examples: Sequence[Example], *, penalty: float = PENALTY, rounds: int = ROUNDS) -> Model:
    """Train a model; the same examples give the same model.

    Args:
        examples: Texts of both labels.
        penalty: L2 penalty.
        rounds: How often the windows of the injections are chosen anew.
    """
    harmless = [(window, e.weight) for e in examples if not e.label for window in windows_of(e.text)]
    injections = [(e.weight, windows) for e in examples if e.label and (windows := windows_of(e.text))]
    chosen = [max(windows, key=lambda window: window.count) for _, windows in injections]
    weights = np.array([w for _, w in harmless] + [w for w, _ in injections])
    labels = np.array([0.0] * len(harmless) + [1.0] * len(injections))
    weights = np.where(labels == 1, weights / weights[labels == 1].sum(), weights / weights[labels == 0].sum()) / 2
    base = _stack([window for window, _ in harmless])
    parameters = np.zeros(BUCKETS + 1)
    everything = _stack([window for _, windows in injections for window in windows])
    bounds = np.cumsum([0, *(len(windows) for _, windows in injections)])
    for _ in range(rounds):
        top = _stack(chosen)
        matrix = _Matrix(
            np.concatenate([base.starts, top.starts + len(base.indices)]),
            np.concatenate([base.indices, top.indices]),
            np.concatenate([base.values, top.values]),
            np.concatenate([base.rows, top.rows + len(base.starts)]),
        )

        def loss(point: Any, matrix: _Matrix = matrix) -> tuple[float, Any]:
            scores = matrix.times(point[:-1]) + point[-1]
            signs = 2 * labels - 1
            margins = signs * scores
            total = weights @ np.logaddexp(0, -margins) + penalty / 1000 * (point[:-1] @ point[:-1]) / 2
            slopes = -weights * signs / (1 + np.exp(np.clip(margins, -30, 30)))
            gradient = np.append(matrix.transposed_times(slopes) + penalty / 1000 * point[:-1], slopes.sum())
            return float(total), gradient

        parameters = _minimize(loss, parameters)
        scores = everything.times(parameters[:-1])
        chosen = [
            windows[int(np.argmax(scores[bounds[index] : bounds[index + 1]]))]
            for index, (_, windows) in enumerate(injections)
        ]
    return Model(parameters[:-1], float(parameters[-1]))


def fit_platt(scores: Sequence[float], labels: Sequence[int]) -> tuple[float, float]:
    """Slope and intercept that turn log-odds of held-out texts into probabilities (Platt scaling).

    Classes count equally, whatever their share. Targets are smoothed as in Platt, "Probabilistic outputs for support
    vector machines", 1999.
    """
    z = np.asarray(scores, float)
    y = np.asarray(labels, float)
    positive = y.sum()
    negative = len(y) - positive
    targets = np.where(y == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    weights = np.where(y == 1, 0.5 / positive, 0.5 / negative)

    def loss(point: Any) -> tuple[float, Any]:
        margins = point[0] * z + point[1]
        error = weights * (1 / (1 + np.exp(-np.clip(margins, -30, 30))) - targets)
        total = weights @ (np.logaddexp(0, margins) - targets * margins)
        return float(total), np.array([error @ z, error.sum()])

    slope, intercept = _minimize(loss, np.array([1.0, 0.0]))
    return float(slope), float(intercept)

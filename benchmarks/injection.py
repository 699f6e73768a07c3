"""How often the prompt-injection classifier is right, by cross-validation, beside a plain keyword filter.

    python -m benchmarks.injection                  # from the repository's root; about five minutes
    python -m benchmarks.injection --only user      # or tool: half of it
    python -m benchmarks.injection --train          # as well: write the weights and the figures that the docs publish

The data lie in `data/injection` of `$MULTIROUTE_SHARED`; `benchmarks.injection_sets` describes them. Texts that
resemble each other are in one fold. The threshold of a fold is chosen on the scores of the other folds. Synthetic texts
(`benchmarks.injection_corpus`) are in the training folds only, without those that resemble a text to be scored. They
and the word lists were written by somebody who had read the sets; the column "real texts only" goes without the
synthetic texts, and the questions from Quora, of which no text is trained on, are the more independent figure.

A target that is missed is marked `short`; the exit code is 0 all the same.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import random
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import injection_sets as sets
from benchmarks.injection_corpus.attacks import generate_attacks, generate_planted
from benchmarks.injection_corpus.documents import DOCUMENTS, generate_requests, mix_document, plant
from benchmarks.injection_corpus.harmless import generate_plain, generate_triggered
from benchmarks.injection_sets import FOLDS, Sample
from benchmarks.injection_training import Example, Model, fit_platt, train, windows_of
from multiroute_core.guards.injection.classifier import THRESHOLDS, correct_for_windows, score_injection
from multiroute_core.guards.injection.features import CHARACTER_BUCKETS, WORD_BUCKETS
from multiroute_core.guards.injection.weights import WEIGHTS_FILE, OriginWeights, load_weights, pack_weights

FIGURES_FILE = Path(__file__).with_name("injection_figures.json")
SYNTHETIC = 1400
"""How many synthetic texts of each kind are generated; of those that matter less for an origin, fewer."""

REAL_WEIGHT = 3.0
"""How much a real text counts, compared with a synthetic one."""

PENALTY_SHARE = 0.25
"""How much of the growth of the highest score with the number of windows is corrected: all of it would keep the false
alarms of long texts at those of short ones, but would hide what is planted in them."""

TARGET_RECALL = 0.90
TARGET_FALSE_ALARMS = 0.03
LEVELS = {"one_percent": 0.01, "three_percent": 0.03}


def synthetic_for_users() -> list[Example]:
    """Synthetic prompts."""
    texts = dict.fromkeys(generate_attacks(SYNTHETIC, 1), 1)
    texts |= dict.fromkeys((*generate_plain(SYNTHETIC, 2), *generate_triggered(SYNTHETIC, 3)), 0)
    return [Example(text, label) for text, label in texts.items()]


def synthetic_for_tools(documents: Sequence[str], seed: int) -> list[Example]:
    """Synthetic documents with and without instructions in them, from these neutral ones."""
    chance = random.Random(seed)
    planted = list(dict.fromkeys(generate_planted(SYNTHETIC, seed)))
    attacks = generate_attacks(500, seed + 1)
    texts = dict.fromkeys((*planted, *attacks), 1)
    texts |= {plant(mix_document(list(documents), chance), text, chance): 1 for text in planted[::4]}
    examples = [Example(text, label) for text, label in texts.items()]
    parts = {sentence for text in documents for sentence in text.replace("\n", " ").split(". ")}
    examples += [Example(text, 0, 8.0) for text in documents]
    examples += [Example(text, 0, 2.0) for text in sorted(parts)]
    examples += [Example(text, 0) for text in generate_requests(SYNTHETIC, seed + 4)]
    # Documents contain questions and requests to their readers as well, though not many.
    examples += [Example(text, 0, 0.4) for text in generate_triggered(400, seed + 2)]
    examples += [Example(text, 0, 0.2) for text in generate_plain(400, seed + 3)]
    return examples


def threshold_for(groups: Sequence[Any], share: float) -> float:
    """The lowest score that a new text of each group exceeds with at most this probability.

    A new text is as likely to be in each of the gaps between n scores, so k of n + 1 such texts lie above the k-th
    highest score (split conformal prediction: Lei et al., https://arxiv.org/abs/1604.04173, 2026-11-30).
    """
    ranks = [(scores, max(1, int(share * (len(scores) + 1)))) for scores in groups if len(scores)]
    return max(float(np.sort(scores)[-rank]) for scores, rank in ranks)


def estimate_window_penalty(scores: Any, counts: Any) -> float:
    """How much the highest score of joined harmless texts grows each time that the number of windows doubles.

    Args:
        scores: Held-out scores of harmless texts.
        counts: Their numbers of windows.
    """
    rng = np.random.default_rng(0)
    xs, ys = [], []
    for size in (1, 2, 4, 8, 16):
        for _ in range(400):
            chosen = rng.integers(0, len(scores), size)
            xs.append(np.log2(max(counts[chosen].sum(), 4) / 4))
            ys.append(scores[chosen].max())
    return max(0.0, float(np.polyfit(xs, ys, 1)[0]))


def quantize(model: Model) -> tuple[Any, tuple[float, float, float]]:
    """Weights as signed bytes, and the scale of each region."""
    bounds = (0, WORD_BUCKETS, WORD_BUCKETS + CHARACTER_BUCKETS, len(model.weights))
    parts, scales = [], []
    for start, end in itertools.pairwise(bounds):
        region = model.weights[start:end]
        scale = float(np.abs(region).max()) / 127 or 1.0
        parts.append(np.rint(region / scale).astype(np.int8))
        scales.append(round(scale, 9))
    return np.concatenate(parts), (scales[0], scales[1], scales[2])


class Measurement:
    """Held-out scores of one origin's texts.

    Args:
        samples: The texts.
        scores: Their scores, each from a model that has not seen the text or one like it; corrected here for the
            number of windows.
    """

    def __init__(self, samples: Sequence[Sample], scores: Any) -> None:
        self.samples = samples
        counts = np.array([len(windows_of(sample.text)) for sample in samples])
        harmless = np.array([not sample.label for sample in samples])
        self.penalty = round(PENALTY_SHARE * estimate_window_penalty(scores[harmless], counts[harmless]), 4)
        self.scores = scores - [correct_for_windows(count, self.penalty) for count in counts]
        self.labels = np.array([sample.label for sample in samples])
        self.folds = np.array([sample.fold for sample in samples])
        self.groups = np.array([sample.group for sample in samples])
        self.english = np.array([sample.english for sample in samples])

    def harmless_groups(self, mask: Any) -> list[Any]:
        chosen = mask & (self.labels == 0)
        return [self.scores[chosen & (self.groups == group)] for group in sorted(set(self.groups[chosen]))]

    def alarms(self, share: float) -> Any:
        """Which texts raise an alarm, each fold with the threshold of the others."""
        result = np.zeros(len(self.scores), bool)
        for fold in range(FOLDS):
            threshold = threshold_for(self.harmless_groups(self.folds != fold), share)
            inside = self.folds == fold
            result[inside] = self.scores[inside] > threshold
        return result

    def rates(self, alarms: Any) -> dict[str, float]:
        """Recall, precision and false alarms by set and language."""
        figures: dict[str, float] = {}
        for name, mask in (("", True), (" English", self.english), (" not English", ~self.english)):
            positive = (self.labels == 1) & mask
            if positive.any():
                figures[f"recall{name}"] = float(alarms[positive].mean())
            for group in sorted(set(self.groups[self.labels == 0])):
                chosen = (self.labels == 0) & (self.groups == group) & mask
                if chosen.any():
                    figures[f"false alarms, {group}{name}"] = float(alarms[chosen].mean())
        figures["precision"] = float(self.labels[alarms].mean()) if alarms.any() else 0.0
        return figures


def cross_validate(
    samples: Sequence[Sample], examples_without: Callable[[int], list[Example]], advance: Callable[[], None]
) -> Any:
    """Scores of all samples, each from a model trained on the examples that go without its fold."""
    scores = np.zeros(len(samples))
    for fold in range(FOLDS):
        model = train(examples_without(fold))
        for index, sample in enumerate(samples):
            if sample.fold == fold:
                scores[index] = model.score(sample.text)
        advance()
    return scores


def user_examples(samples: Sequence[Sample], without: int | None, synthetic: Sequence[Example]) -> list[Example]:
    """Real prompts of the other folds, and synthetic ones that resemble none of this fold."""
    real = [Example(s.text, s.label, REAL_WEIGHT) for s in samples if s.fold != without]
    held_out = [s.text for s in samples if s.fold == without]
    return [*real, *sets.drop_similar(synthetic, held_out)]


def tool_examples(attacks: Sequence[Sample], without: int | None) -> list[Example]:
    """Instructions for documents of the other folds, real and synthetic, and neutral documents of the other folds."""
    documents = [text for index, text in enumerate(DOCUMENTS) if without is None or index % FOLDS != without]
    real = [Example(s.text, 1, REAL_WEIGHT) for s in attacks if s.fold != without]
    held_out = [s.text for s in attacks if s.fold == without]
    return [*real, *sets.drop_similar(synthetic_for_tools(documents, 7), held_out)]


def finish(measurement: Measurement, model: Model) -> tuple[OriginWeights, dict[str, float]]:
    """Calibrate a model trained on everything by the held-out scores of the models of the folds."""
    slope, intercept = fit_platt(measurement.scores.tolist(), measurement.labels.tolist())
    groups = measurement.harmless_groups(np.ones(len(measurement.scores), bool))
    thresholds = {}
    for name, share in LEVELS.items():
        log_odds = slope * threshold_for(groups, share) + intercept
        thresholds[name] = float(np.ceil(1e4 / (1 + np.exp(-log_odds))) / 1e4)
    weights, scales = quantize(model)
    return (
        OriginWeights(
            array("b", weights.tobytes()),
            scales,
            round(model.bias, 6),
            round(slope, 6),
            round(intercept, 6),
            measurement.penalty,
        ),
        thresholds,
    )


def measure_time(origin: Any) -> float:
    """Milliseconds of processor time for 1,000 characters, the best of some."""
    text = " ".join(DOCUMENTS)[:10_000]
    times = []
    for _ in range(5):
        start = time.process_time()
        score_injection(text, origin=origin)
        times.append(time.process_time() - start)
    return min(times) / len(text) * 1e6


def show(console: Console, title: str, rows: dict[str, dict[str, float]], targets: bool) -> None:
    """One table: a row for each figure, a column for each contestant."""
    table = Table(title=title)
    table.add_column("")
    for name in rows:
        table.add_column(name, justify="right")
    for figure in dict.fromkeys(figure for figures in rows.values() for figure in figures):
        cells = []
        for number, figures in enumerate(rows.values()):
            if (value := figures.get(figure)) is None:
                cells.append("–")
                continue
            missed = (figure == "recall" and value < TARGET_RECALL) or (
                figure.startswith("false alarms") and "English" not in figure and value > TARGET_FALSE_ALARMS
            )
            cells.append(f"{100 * value:.1f} %" + (" short" if targets and number == 0 and missed else ""))
        table.add_row(figure, *cells)
    console.print(table)


def measure_users(folder: Path, advance: Callable[[], None]) -> tuple[Measurement, dict[str, dict[str, float]], Any]:
    """Cross-validation of prompts: measurement, figures by contestant, and the model of everything."""
    samples = sets.read_prompts(folder)
    synthetic = synthetic_for_users()
    full = Measurement(samples, cross_validate(samples, lambda fold: user_examples(samples, fold, synthetic), advance))
    bare = Measurement(samples, cross_validate(samples, lambda fold: user_examples(samples, fold, ()), advance))
    keywords = np.array([sets.matches_keywords(sample.text) for sample in samples])
    figures = {
        "classifier, ≤ 3 %": full.rates(full.alarms(0.03)),
        "classifier, ≤ 1 %": full.rates(full.alarms(0.01)),
        "real texts only, ≤ 3 %": bare.rates(bare.alarms(0.03)),
        "keyword filter": full.rates(keywords),
    }
    return full, figures, lambda: train(user_examples(samples, None, synthetic))


def measure_tools(folder: Path, advance: Callable[[], None]) -> tuple[Measurement, dict[str, dict[str, float]], Any]:
    """Cross-validation of documents, as `measure_users`."""
    attacks = sets.read_planted(folder)
    samples = sets.plant_attacks(attacks)
    full = Measurement(samples, cross_validate(samples, lambda fold: tool_examples(attacks, fold), advance))
    keywords = np.array([sets.matches_keywords(sample.text) for sample in samples])
    figures = {
        "classifier, ≤ 3 %": full.rates(full.alarms(0.03)),
        "classifier, ≤ 1 %": full.rates(full.alarms(0.01)),
        "keyword filter": full.rates(keywords),
    }
    for alarms, column in ((full.alarms(0.03), "classifier, ≤ 3 %"), (keywords, "keyword filter")):
        for category in sorted({sample.category for sample in samples if sample.label}):
            mask = [bool(sample.label) and sample.category == category for sample in samples]
            figures[column][f"recall, {category}"] = float(alarms[mask].mean())
    return full, figures, lambda: train(tool_examples(attacks, None))


def store_figures(
    figures: dict[str, Any], thresholds: dict[str, dict[str, float]], questions: dict[str, float], milliseconds: float
) -> None:
    """Write what the docs publish; what was not measured stays."""
    stored: dict[str, Any] = {"thresholds": {}, "rates": {}}
    if FIGURES_FILE.exists():
        stored = json.loads(FIGURES_FILE.read_text("utf-8"))
    content = WEIGHTS_FILE.read_bytes()
    stored["weights_sha256"] = hashlib.sha256(content).hexdigest()
    stored["weights_bytes"] = len(content)
    stored["milliseconds_per_1000_characters"] = round(milliseconds, 1)
    stored["thresholds"] |= thresholds
    if questions:
        stored["questions"] = {name: round(value, 4) for name, value in questions.items()}
    for origin, columns in figures.items():
        stored["rates"][origin] = {
            column: {figure: round(value, 5) for figure, value in values.items()} for column, values in columns.items()
        }
    FIGURES_FILE.write_text(json.dumps(stored, indent=2, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")


def render_rates(stored: dict[str, Any], origin: str) -> str:
    """The table of an origin, as docs/guards_injection.md shows it."""
    columns: dict[str, dict[str, float]] = stored["rates"][origin]
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for figure in sorted({figure for rates in columns.values() for figure in rates}):
        cells = [f"{100 * rates[figure]:.1f} %" if figure in rates else "–" for rates in columns.values()]
        lines.append(f"| {figure} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def render_summary(stored: dict[str, Any]) -> str:
    """What else docs/guards_injection.md says in figures."""
    questions = stored["questions"]
    user = stored["thresholds"]["user"]
    tool = stored["thresholds"]["tool"]
    asked = f"{100 * questions['one_percent']:.1f} % and {100 * questions['three_percent']:.1f} %"
    for_users = f"{user['one_percent']} and {user['three_percent']}"
    for_tools = f"{tool['one_percent']} and {tool['three_percent']}"
    milliseconds = stored["milliseconds_per_1000_characters"]
    size = stored["weights_bytes"] / 1000
    lines = [
        f"* {sets.QUESTIONS:,} questions from Quora, in no training set: {asked} false alarms with users' thresholds.",
        f"* Thresholds for ≤ 1 % and ≤ 3 %: {for_users} for users, {for_tools} for tools.",
        f"* Processor time: {milliseconds} ms for 1,000 characters. Weights: {size:.0f} kB.",
    ]
    return "\n".join(lines)


def measure_questions(folder: Path, thresholds: dict[str, float]) -> dict[str, float]:
    """False alarms of the packed weights on questions of which none is trained on; empty without them."""
    if not (questions := sets.read_questions(folder)):
        return {}
    scores = np.array([score_injection(text, origin="user") for text in questions])
    shares = {name: float((scores > threshold).mean()) for name, threshold in thresholds.items()}
    return {**shares, "keyword filter": float(np.mean([sets.matches_keywords(text) for text in questions]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("user", "tool"), help="one origin only")
    parser.add_argument("--train", action="store_true", help="write the weights and the figures")
    chosen = parser.parse_args()
    folder = sets.shared()
    if folder is None:
        raise SystemExit("No data: MULTIROUTE_SHARED does not name a folder with data/injection in it.")
    console = Console()
    figures: dict[str, Any] = {}
    weights: dict[str, OriginWeights] = dict(load_weights()) if WEIGHTS_FILE.exists() else {}
    thresholds: dict[str, dict[str, float]] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for origin, measure, steps in (("user", measure_users, 2 * FOLDS), ("tool", measure_tools, FOLDS)):
            if chosen.only not in (None, origin):
                continue
            task = progress.add_task(origin, total=steps)
            measurement, figures[origin], train_all = measure(folder, lambda task=task: progress.advance(task))
            if chosen.train:
                weights[origin], thresholds[origin] = finish(measurement, train_all())
    for origin, columns in figures.items():
        show(console, f"origin={origin!r}", columns, targets=origin == "user")
    if chosen.train:
        WEIGHTS_FILE.write_bytes(pack_weights({origin: weights[origin] for origin in sorted(weights)}))
        load_weights.cache_clear()
    questions: dict[str, float] = {}
    if "user" in figures:
        levels = thresholds.get("user") or {name: getattr(THRESHOLDS["user"], name) for name in LEVELS}
        questions = measure_questions(folder.parent / "paraphrases", levels)
        shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in questions.items())
        console.print(f"False alarms on {sets.QUESTIONS} questions from Quora: {shares or 'not measured'}.")
    milliseconds = measure_time(next(iter(figures)))
    console.print(
        f"{milliseconds:.1f} ms for 1,000 characters; {WEIGHTS_FILE.stat().st_size / 1000:.0f} kB of weights."
    )
    if chosen.train:
        store_figures(figures, thresholds, questions, milliseconds)
        console.print(f"Thresholds for classifier.py: {thresholds}")


if __name__ == "__main__":
    main()

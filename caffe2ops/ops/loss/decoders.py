"""Decoders: the best sequence of labels for scores at each time step."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Operator
from caffe2ops.ops.index.rows import checked_indices

Prefix = tuple[int, ...]
Row = tuple[np.ndarray, np.ndarray, np.ndarray]  # of the prefixes that one symbol more makes: see `_new_row`


class CTC(Operator):
    """Base: scores [T, N, C] of symbols, of which 0 is the blank, and how many steps each of the N sequences has."""

    docs = {
        "INPUTS": "a score for each symbol, at each step of each sequence; symbol 0 is the blank",
        "SEQ_LEN": "steps of each sequence; all T without it",
        "OUTPUT_LEN": "how many symbols were decoded",
        "VALUES": "these symbols, one sequence after another",
        "OUTPUT_PROB": "the probability of each candidate",
    }
    gradient = FORBIDDEN

    def _steps(self, inputs: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
        steps, n, symbols = inputs.shape
        if steps and n and not symbols:
            raise ValueError("INPUTS: has no symbols, wants at least the blank")
        if lengths is None:
            return np.full(n, steps, np.int32)
        bad = np.flatnonzero((lengths < 0) | (lengths > steps))
        if bad.size:
            raise ValueError(f"SEQ_LEN: element {bad[0]} is {lengths[bad[0]]}, wants 0 to {steps}")
        return lengths


class CTCGreedyDecoder(CTC):
    """The symbol with the highest score at each step, the first of equal ones, without blanks and repeats.

    A symbol that follows itself counts once unless a blank lies between. Raises ValueError for a length that INPUTS do
    not have. Caffe2: operators/ctc_greedy_decoder_op.
    """

    contract = "INPUTS: float[T, N, C], SEQ_LEN?: int32[N] -> OUTPUT_LEN: int32[N], VALUES: int32[?]"
    merge_repeated: bool = Arg(True, doc="whether repeats count once")

    def infer(self, inputs: TensorSpec, lengths: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        return TensorSpec((inputs.shape[1],), np.dtype(np.int32)), TensorSpec((UNKNOWN,), np.dtype(np.int32))

    def run_cpu(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        length = self._steps(inputs, lengths)
        steps, n, _ = inputs.shape
        best = np.zeros((n, steps + 1), np.int32)  # as if a blank stood before the first
        if inputs.size:
            best[:, 1:] = inputs.argmax(axis=2).T
        kept = (best[:, 1:] != 0) & (np.arange(steps) < length[:, None])
        if self.merge_repeated:
            kept &= best[:, 1:] != best[:, :-1]
        counts = self.out(0, (n,), np.int32)
        counts[...] = np.count_nonzero(kept, axis=1)
        return counts, best[:, 1:][kept]


class CTCBeamSearchDecoder(CTC):
    """The most probable sequences of symbols, by beam search over prefixes.

    After each step the `beam_width` most probable prefixes go on; of equal ones those that come first in
    lexicographic order. Each sequence has `num_candidates` results, the best first; where there are fewer the rest is
    empty with probability 0. Raises ValueError for a length that INPUTS do not have. Caffe2:
    operators/ctc_beam_search_decoder_op.
    """

    contract = (
        "INPUTS: float[T, N, C], SEQ_LEN?: int32[N] -> OUTPUT_LEN: int32[?], VALUES: int32[?], OUTPUT_PROB?: INPUTS[?]"
    )
    beam_width: int = Arg(10, ge=1, doc="how many prefixes go on after each step")
    num_candidates: int = Arg(1, ge=1, doc="results for each sequence")
    prune_threshold: float = Arg(0.001, doc="symbols up to this score are left out, unless all are")

    def infer(self, inputs: TensorSpec, lengths: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        results, int32 = (inputs.shape[1] * self.num_candidates,), np.dtype(np.int32)
        return TensorSpec(results, int32), TensorSpec((UNKNOWN,), int32), TensorSpec(results, inputs.dtype)

    def run_cpu(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        shape = (inputs.shape[1], self.num_candidates)
        counts, probabilities = np.zeros(shape, np.int32), np.zeros(shape, inputs.dtype)
        values: list[int] = []
        for n, steps in enumerate(self._steps(inputs, lengths)):
            for k, (prefix, probability) in enumerate(self._search(inputs[:steps, n])):
                counts[n, k], probabilities[n, k] = len(prefix), probability
                values += prefix
        return (counts.reshape(-1), np.array(values, np.int32), probabilities.reshape(-1))[: self.n_outputs]

    def _search(self, scores: np.ndarray) -> list[tuple[Prefix, Any]]:
        """The results for one sequence [steps, C]: prefixes and their probabilities."""
        threshold = np.float32(self.prune_threshold)
        root: Row = _new_row(scores)
        root[0][0] = 1
        rows: dict[Prefix, Row] = {}
        beam: list[Prefix] = [()]
        found: list[tuple[Prefix, Any]] = []
        for p in scores:
            symbols = np.flatnonzero(p > threshold)
            root, rows = self._step(p, symbols if symbols.size else np.arange(p.size), beam, root, rows)
            found = _best(root, rows, max(self.beam_width, self.num_candidates))
            beam = [prefix for prefix, _ in found[: self.beam_width]]
        return found[: self.num_candidates]

    def _step(
        self, p: np.ndarray, symbols: np.ndarray, beam: list[Prefix], old_root: Row, old_rows: dict[Prefix, Row]
    ) -> tuple[Row, dict[Prefix, Row]]:
        """The rows after one more step with scores p, of which only `symbols` count."""
        root, rows = _new_row(p), dict[Prefix, Row]()
        letters = symbols[symbols != 0]
        in_beam = set(beam)
        for prefix in beam:
            blank, symbol, _ = old_rows[prefix[:-1]] if prefix else old_root
            last = prefix[-1] if prefix else 0
            total = blank[last] + symbol[last]
            own = rows.setdefault(prefix[:-1], _new_row(p)) if prefix else root
            if symbols[0] == 0:
                own[0][last] += p[0] * total
                own[2][last] = True
            row = rows.setdefault(prefix, _new_row(p))
            before = np.full_like(p, total)
            if last:
                before[last] = blank[last]  # the same symbol again counts only behind a blank
            row[1][letters] += p[letters] * before[letters]
            row[2][letters] = True
            if last and last in letters:
                own[1][last] += p[last] * symbol[last]
                own[2][last] = True
            if prefix in old_rows:  # prefixes that dropped out of the beam come back
                back = np.array([c for c in letters.tolist() if (*prefix, c) not in in_beam], int)
                old_blank, old_symbol, _ = old_rows[prefix]
                row[0][back] += p[0] * (old_blank[back] + old_symbol[back])
                row[1][back] += p[back] * old_symbol[back]
        return root, rows


def _new_row(like: np.ndarray) -> Row:
    """For each symbol: the probability of the prefix that ends with it and then a blank, of that without the blank, and
    whether there is such a prefix."""
    size = like.shape[-1]
    return np.zeros(size, like.dtype), np.zeros(size, like.dtype), np.zeros(size, bool)


def _best(root: Row, rows: dict[Prefix, Row], count: int) -> list[tuple[Prefix, Any]]:
    """The `count` most probable prefixes, the best first."""
    parents = [(), *rows]
    blank, symbol, there = (np.concatenate(parts) for parts in zip(root, *rows.values()))
    at = np.flatnonzero(there)
    total = (blank + symbol)[at]
    if total.size > count:
        likely = total >= np.partition(total, -count)[-count]
        at, total = at[likely], total[likely]
    size = root[0].size
    prefixes = [(*parents[i // size], i % size) if i >= size else () for i in at.tolist()]
    return sorted(zip(prefixes, total), key=lambda item: (-item[1], item[0]))[:count]


class ViterbiPath(Operator):
    """The sequence of classes with the greatest sum of predictions and transitions; of equal ones the lower class.

    Raises ValueError where there are no predictions. Caffe2: operators/crf_viterbi_op.
    """

    contract = "predictions: float[N, D], transitions: predictions[D, D] -> viterbi_path: int32[N]"
    docs = {
        "predictions": "a score for each class, at each step",
        "transitions": "a score for each class (row) before each class (column)",
        "viterbi_path": "the classes",
    }
    gradient = NO_GRADIENT

    def run_cpu(self, predictions: np.ndarray, transitions: np.ndarray) -> Any:
        if not predictions.size:
            raise ValueError(f"predictions: shape is {list(predictions.shape)}, wants a step and a class at least")
        best_before = np.empty(predictions.shape, np.int32)
        score = predictions[0]
        for i in range(1, len(predictions)):
            scores = score[:, None] + transitions
            best_before[i] = scores.argmax(axis=0)
            score = predictions[i] + scores.max(axis=0)
        path = self.out(0, (len(predictions),), np.int32)
        path[-1] = score.argmax()
        for i in range(len(path) - 1, 0, -1):
            path[i - 1] = best_before[i, path[i]]
        return path


class SwapBestPath(Operator):
    """Predictions with the score of the given class and the highest score of each row swapped.

    Raises IndexError for a class that there is not (Caffe2 swaps beyond the row). Caffe2: operators/crf_viterbi_op.
    """

    contract = "predictions: float[N, D], bestPath: int32[N] -> new_predictions: predictions"
    docs = {
        "predictions": "a score for each class, at each step",
        "bestPath": "the class that gets the highest score",
        "new_predictions": "the new scores",
    }
    gradient = NO_GRADIENT

    def run_cpu(self, predictions: np.ndarray, path: np.ndarray) -> Any:
        out = self.out(0, predictions.shape, predictions.dtype)
        out[...] = predictions
        if len(path):
            checked_indices(path, predictions.shape[1], "bestPath", "a row of predictions")
            rows, best = np.arange(len(path)), predictions.argmax(axis=1)
            out[rows, best], out[rows, path] = predictions[rows, path], predictions[rows, best]
        return out

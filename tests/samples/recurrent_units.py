"""The units of recurrent cells, stacked LSTM layers, padding of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, normal, rng

STEP = int32s(1)


def unit(type: str, states: Sequence[np.ndarray], lengths: np.ndarray, args: dict[str, Any], **more: Any) -> Sample:
    """A unit with lengths, or without where `sequence_lengths` is 0."""
    timing = [lengths, STEP] if args.get("sequence_lengths", 1) else [STEP]
    return Sample(type, [*states, *timing], args, **more)


LSTM = [normal(1, 3, 2), normal(1, 3, 2, seed=1), normal(1, 3, 8, seed=2) * 2]
GRU = [normal(1, 3, 2), normal(1, 3, 6, seed=2) * 2]
STATES = [normal(1, 3, 2, seed=seed) for seed in (3, 4, 5, 6)]
LENGTHS = int32s(3, 1, 2)
EMPTY = [x[:, :0] for x in LSTM]


def stack(layers: int, directions: int, biases: bool, batch_first: bool = False, **more: Any) -> Sample:
    draw, size = rng(layers + 2 * directions), 3
    x = draw.standard_normal((2, 4, 5))
    shapes: list[tuple[int, ...]] = [(layers * directions, 2 if batch_first else 4, size)] * 2
    for k in range(layers * directions):
        width = 5 if k < directions else size * directions
        shapes += [(4 * size, width), (4 * size, size), (4 * size,), (4 * size,)][: 4 if biases else 2]
    inputs = [array.astype(np.float32) for array in (x, *map(draw.standard_normal, shapes))]
    args = {
        "num_layers": layers,
        "has_biases": int(biases),
        "bidirectional": directions - 1,
        "batch_first": int(batch_first),
    }
    return Sample("InferenceLSTM", inputs, args, **{"outputs": 3, **more})


CHECKED = stack(1, 1, True).inputs

samples = [
    unit("LSTMUnit", LSTM, LENGTHS, {}),
    unit("LSTMUnit", LSTM, int32s(3, 9, 2), {}, note="all go on"),
    unit("LSTMUnit", LSTM, LENGTHS, {"forget_bias": 1.5}, note="forget bias"),
    unit("LSTMUnit", LSTM, LENGTHS, {"drop_states": 1}, note="drop states"),
    unit("LSTMUnit", LSTM, LENGTHS, {"sequence_lengths": 0, "forget_bias": -0.5}, note="no lengths"),
    unit("LSTMUnit", [*LSTM[:2], LSTM[2] * 60], LENGTHS, {}, note="saturated"),
    unit("LSTMUnit", EMPTY, LENGTHS[:0], {}, note="empty"),
    unit("LSTMUnit", [*LSTM[:2], LSTM[2][..., :6]], LENGTHS, {}, error="gates: shape is .*4 times 2", note="gates"),
    unit("LSTMUnit", LSTM, LENGTHS[:2], {}, error="seq_lengths: has 2 elements, wants 3", note="few lengths"),
    Sample("LSTMUnit", [*LSTM, LENGTHS], error="timestep is missing", note="no step"),
    Sample(
        "LSTMUnit",
        [*LSTM, LENGTHS, int32s(1, 2)],
        error="timestep: has 2 elements",
        golden=False,
        reason="Caffe2 looks at the first element only",
        note="two steps",
    ),
    unit("LSTMUnit", [x[0] for x in LSTM], LENGTHS, {}, error="wants \\[1, N, D\\]", note="matrices"),
    Sample("LSTMUnitGradient", [*LSTM, LENGTHS, STEP, *STATES]),
    Sample("LSTMUnitGradient", [*LSTM, LENGTHS, STEP, *STATES], {"drop_states": 1, "forget_bias": 1.0}, note="drop"),
    Sample("LSTMUnitGradient", [*LSTM, STEP, *STATES], {"sequence_lengths": 0}, note="no lengths"),
    Sample("LSTMUnitGradient", [*LSTM, STEP, *STATES], error="timestep: dtype is float32", note="no lengths said"),
    Sample(
        "LSTMUnitGradient",
        [*LSTM, LENGTHS, STEP, *STATES[:2], STATES[2][:, :2], STATES[3]],
        error="dhidden: shape",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="short gradient",
    ),
    unit("GRUUnit", GRU, LENGTHS, {}),
    unit("GRUUnit", GRU, LENGTHS, {"drop_states": 1}, note="drop states"),
    unit("GRUUnit", GRU, LENGTHS, {"sequence_lengths": 0}, note="no lengths"),
    unit("GRUUnit", [x[:, :0] for x in GRU], LENGTHS[:0], {}, note="empty"),
    unit("GRUUnit", [GRU[0], GRU[1][..., :4]], LENGTHS, {}, error="gates: shape is .*3 times 2", note="gates"),
    unit("GRUUnit", GRU, LENGTHS[:2], {}, error="seq_lengths: has 2 elements, wants 3", note="few lengths"),
    Sample("GRUUnitGradient", [*GRU, LENGTHS, STEP, *STATES[:2]]),
    Sample("GRUUnitGradient", [*GRU, LENGTHS, STEP, *STATES[:2]], {"drop_states": 1}, note="drop states"),
    Sample("GRUUnitGradient", [*GRU, STEP, *STATES[:2]], {"sequence_lengths": 0}, note="no lengths"),
    Sample("GRUUnitGradient", [*GRU, STEP, *STATES[:2]], error="timestep: dtype is float32", note="no lengths said"),
    stack(1, 1, True),
    stack(2, 1, False, note="two layers without biases"),
    stack(1, 2, True, batch_first=True, note="both directions, batch first"),
    stack(2, 2, True, note="two layers, both directions"),
    Sample(
        "InferenceLSTM",
        [CHECKED[0][:, :0], CHECKED[1][:, :0], CHECKED[2][:, :0], *CHECKED[3:]],
        outputs=3,
        golden=False,
        reason="ends Caffe2's process",
        expected=[np.empty((2, 0, 3), np.float32), np.empty((1, 0, 3), np.float32), np.empty((1, 0, 3), np.float32)],
        note="no rows",
    ),
    Sample("InferenceLSTM", CHECKED[:-1], outputs=3, error="an incorrect number", note="a parameter less"),
    Sample("InferenceLSTM", CHECKED[:2], outputs=3, error="there are 2", note="no cell state"),
    Sample("InferenceLSTM", CHECKED, {"num_layers": 2}, outputs=3, error="wants .* 4 parameters", note="few layers"),
    Sample(
        "InferenceLSTM",
        [*CHECKED[:3], CHECKED[3][:, :4], *CHECKED[4:]],
        outputs=3,
        error="inputs\\[3\\]: shape is \\[12, 4\\], wants \\[12, 5\\]",
        golden=False,
        reason="Caffe2 reads past the rows of the weights",
        note="weights of another width",
    ),
    Sample("VariableLengthSequencePadding", [normal(3, 4, 2), int32s(1, 3, 0, 5)], inplace={0: 0}),
    Sample(
        "VariableLengthSequencePadding",
        [normal(3, 4, 2), int32s(1, 3, 0, 2)],
        golden=False,
        reason="Caffe2 ends the process where it is not in place",
        note="apart",
        expected=[normal(3, 4, 2) * (np.arange(3)[:, None] < [1, 3, 0, 2])[..., None]],
    ),
    Sample("VariableLengthSequencePadding", [normal(3, 4, 2)[:, :0], int32s()], inplace={0: 0}, note="empty"),
    Sample(
        "VariableLengthSequencePadding",
        [normal(3, 4, 2), int32s(1, 3)],
        inplace={0: 0},
        error="seq_lengths: has 2",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="few lengths",
    ),
    Sample(
        "VariableLengthSequencePadding",
        [normal(3, 2, 2), int32s(1, -1)],
        inplace={0: 0},
        error="-1, wants none below 0",
        golden=False,
        reason="Caffe2 writes out of bounds",
        note="negative",
    ),
]

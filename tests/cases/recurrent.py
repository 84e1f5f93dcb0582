from functools import partial

import numpy as np

from caffelite.testing import case

from ..reference import recurrent as ref


def starts(generator, shape):
    """cont: every stream starts at step 0, so that no state of an earlier run shows."""
    cont = (generator.random(shape) < 0.7).astype(float)
    cont[:1] = 0
    return cont


def goes_on(generator, shape):
    """cont for streams whose first state is given."""
    cont = (generator.random(shape) < 0.7).astype(float)
    cont[:1] = 1
    return cont


def half(generator, shape):
    return generator.standard_normal(shape) / 2


def row(type, more, options, expect, values=starts, states=0, **facts):
    """A row of 5 steps, 2 streams, 3 values and 4 units."""
    field = "gru_param" if type == "GRU" else "recurrent_param"
    static = [(2, 6)] if more else []
    case(
        type,
        [(5, 2, 3), (5, 2), *static, *[(1, 2, 4)] * states],
        f"{field} {{ num_output: 4 {options} }}",
        values={1: values},
        batch_axis=None if static or states else 1,
        fixed_tops=range(1, 1 + states),
        blobs=dict.fromkeys(range(7), half),
        expect=expect,
        **facts,
    )


for type, twin, states in (("RNN", ref.rnn, 1), ("LSTM", ref.lstm, 2), ("GRU", ref.gru, 1)):
    row(type, False, "", twin)
    row(type, True, "", partial(twin, static=True))
    exposed = {"options": "expose_hidden: true", "values": goes_on, "states": states}
    row(type, False, expect=partial(twin, exposed=True), **exposed)
    row(type, True, expect=partial(twin, exposed=True, static=True), **exposed)
    field = "gru_param" if type == "GRU" else "recurrent_param"
    four = f"{field} {{ num_output: 4 }}"
    case(type, [(5, 2, 2, 3), (5, 2)], four, values={1: starts}, shapes=[(5, 2, 4)], batch_axis=1)
    case(type, [(5, 2), (5, 2)], four, values={1: starts}, shapes=[(5, 2, 4)], batch_axis=1)
    case(type, [(5, 2, 3), (5, 2)], error="num_output is missing")
    case(type, [(5,), (5, 2)], four, error="has shape (5,), expected at least 2 axes")
    case(type, [(0, 2, 3), (0, 2)], four, error="and one step")
    case(type, [(5, 2, 3), (5, 3)], four, error="has shape (5, 3), expected (5, 2)")
    case(type, [(5, 2, 3), (5, 2), (3, 6)], four, error="expected 2 streams")
    case(
        type,
        [(5, 2, 3), (5, 2), *[(1, 2, 5)] * states],
        f"{field} {{ num_output: 4 expose_hidden: true }}",
        error="expected (1, 2, 4), a first state",
    )
    case(type, [(5, 2, 3), (5, 2)], four, error="there is no gradient for cont")

row("LSTM", False, "peephole: true", ref.lstm)
row("LSTM", True, "coupled: true", partial(ref.lstm, static=True, coupled=True))
row(
    "LSTM",
    False,
    "peephole: true coupled: true forget_bias: 0.5",
    partial(ref.lstm, coupled=True, forget_bias=0.5),
)
row("LSTM", False, "forget_bias: 1", partial(ref.lstm, forget_bias=1))
row("GRU", False, "reset_after: true", partial(ref.gru, reset_after=True))
row("GRU", True, "reset_after: true", partial(ref.gru, reset_after=True, static=True))
row("GRU", False, "update_new: true", partial(ref.gru, update_new=True))
for new in (False, True):
    row(
        "GRU",
        True,
        f"update_new: true reset_after: {str(new).lower()}",
        partial(ref.gru, update_new=True, reset_after=new, static=True),
    )

KINDS = {"TANH": np.tanh, "RELU": ref.relu, "IDENTITY": lambda x: x}
first = {"values": goes_on, "states": 1}  # with a first state, seen as a bottom
for name, f in KINDS.items():
    hidden = f"hidden_activation: {name}"
    twin = partial(ref.rnn, f=f, g=None)
    row("RNN", True, f"{hidden} output_hidden: true", partial(twin, static=True))
    exposed = f"{hidden} output_hidden: true expose_hidden: true"
    row("RNN", False, exposed, partial(twin, exposed=True), **first)
    for output, g in KINDS.items():
        options = f"{hidden} output_activation: {output} expose_hidden: true"
        row("RNN", False, options, partial(ref.rnn, f=f, g=g, exposed=True), **first)
case(
    "RNN",
    [(5, 2, 3), (5, 2)],
    "recurrent_param { num_output: 4 output_hidden: true output_activation: TANH }",
    error="output_activation and output_hidden are both given",
)
for option in ("output_hidden: true", "hidden_activation: RELU", "output_activation: IDENTITY"):
    case(
        "LSTM",
        [(5, 2, 3), (5, 2)],
        f"recurrent_param {{ num_output: 4 {option} }}",
        error=f"{option.removesuffix(': true')} is an option of an RNN",
    )
huge = "recurrent_param { num_output: 4000000000 }"
case("LSTM", [(5, 2, 3), (5, 2)], huge, error="input_weight: a blob cannot have the shape")
for option in ("peephole: true", "coupled: true", "forget_bias: 1", "peephole_previous: true"):
    case(
        "RNN",
        [(5, 2, 3), (5, 2)],
        f"recurrent_param {{ num_output: 4 {option} }}",
        error=f"{option.partition(':')[0]} is an option of an LSTM",
    )
for exposed in (False, True):  # with what a batch brings along beside x
    for previous in (False, True):
        row(
            "LSTM",
            not exposed,
            f"coupled: true peephole: true {'peephole_previous: true' if previous else ''} "
            + ("expose_hidden: true" if exposed else ""),
            partial(ref.lstm, coupled=True, previous=previous, static=not exposed, exposed=exposed),
            values=goes_on if exposed else starts,
            states=2 * exposed,
        )
row("LSTM", False, "peephole: true peephole_previous: true", partial(ref.lstm, previous=True))
case(
    "LSTM",
    [(5, 2, 3), (5, 2)],
    "recurrent_param { num_output: 4 peephole_previous: true }",
    error="without peephole: true no gate sees it",
)


def rows_of_two_streams(generator, shape):
    """clip: both streams start at step 0."""
    return starts(generator, (shape[0] // 2, 2)).reshape(shape)


lstm_rows = "lstm_param { num_output: 4 batch_size: %d clipping_threshold: 0 }"
case("Lstm", [(5, 2, 3)], lstm_rows % 1, blobs=dict.fromkeys(range(3), half), expect=ref.lstm_rows)
case(
    "Lstm",
    [(10, 3), (10, 1, 1)],
    lstm_rows % 2,
    values={1: rows_of_two_streams},
    batch_axis=None,
    blobs=dict.fromkeys(range(3), half),
    expect=partial(ref.lstm_rows, streams=2, clipped=True),
)
case("Lstm", [(6, 3)], "lstm_param { batch_size: 2 }", error="num_output is missing")
case("Lstm", [(6, 3)], lstm_rows % 0, error="batch_size is 0, expected the number of streams")
case("Lstm", [(5, 3)], lstm_rows % 2, error="has shape (5, 3), expected a multiple of batch_size 2")
case("Lstm", [()], lstm_rows % 1, error="has shape (), expected a multiple of batch_size 1")
case("Lstm", [(6, 3), (5,)], lstm_rows % 2, error='"x1" has shape (5,), expected 6 values')
case("Lstm", [(6, 3), (6,)], lstm_rows % 2, error="there is no gradient for cont")


def scalar(type, options, h, blobs):
    """By hand: one unit, x = 1 then 2."""
    field = "gru_param" if type == "GRU" else "recurrent_param"
    case(
        type,
        [(2, 1, 1), (2, 1)],
        f"{field} {{ num_output: 1 {options} }}",
        values={0: [1, 2], 1: [0, 1]},
        blobs=dict(enumerate(blobs)),
        batch_axis=1,
        golden=np.reshape(h, (2, 1, 1)),
    )


weights = [0.5, 0, 0.5]
scalar("LSTM", "", [0.174270, 0.500859], weights)
scalar("LSTM", "peephole: true", [0.183553, 0.562283], [*weights, 0.5])
scalar("LSTM", "coupled: true", [0.107511, 0.237410], weights)
scalar("LSTM", "coupled: true peephole: true", [0.111012, 0.240053], [*weights, 0.5])
scalar("GRU", "", [0.174468, 0.329078], weights)
scalar("GRU", "reset_after: true", [0.217251, 0.375171], [*weights, 0.25])
scalar("GRU", "update_new: true", [0.287649, 0.679039], weights)
scalar("GRU", "update_new: true reset_after: true", [0.358187, 0.748696], [*weights, 0.25])
previous = "peephole: true peephole_previous: true"
scalar("LSTM", previous, [0.174270, 0.530232], [*weights, 0.5])
scalar("LSTM", f"{previous} coupled: true", [0.107511, 0.235851], [*weights, 0.5])
scalar("RNN", "output_hidden: true", [0.462117, 0.842886], weights)
scalar("RNN", "output_hidden: true hidden_activation: RELU", [0.5, 1.25], weights)
scalar(
    "RNN",
    "hidden_activation: RELU output_activation: IDENTITY",
    [0.25, 0.625],
    [*weights, 0.5, 0],
)

unit = [(1, 3, 4), (1, 3, 16), (1, 3)]
case("LSTMUnit", unit, values={2: [1, 0, 1]}, expect=ref.lstm_unit, batch_axis=1)
case(
    "LSTMUnit",
    unit,
    values={2: [0.5, 2, 1]},
    expect=ref.lstm_unit,
    gradient=False,
    batch_axis=1,
)
case("LSTMUnit", [(2, 3, 4), *unit[1:]], error="expected (1, streams, units)")
case("LSTMUnit", [unit[0], (1, 3, 12), unit[2]], error="expected (1, 3, 16), 4 gates")
case("LSTMUnit", [*unit[:2], (3,)], error="expected (1, 3), a number for each stream")
case("LSTMUnit", unit, values={2: [1, 0, 1]}, error="there is no gradient for cont")

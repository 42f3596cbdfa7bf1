"""The steps of unrolled recurrent layers with as little to do per step as possible.

Keras multiplies the input of every step for itself. Here the inputs of all steps go through one multiplication before
the first, the zeros that a layer starts from are not multiplied at all, and a GRU makes two gates in one go. Fewer
operators are faster where a step is short, and smaller: in 8 bits each comes with its scales.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

Step = Callable[[int, tuple[tf.Tensor, ...]], tuple[tf.Tensor, ...]]


def shorten(layers: Sequence[Any]) -> None:
    """Changes how unrolled LSTM, GRU and SimpleRNN layers are called; what they answer stays the same.

    Layers that keep state, take another layer's state, or get a mask are called as before. For inference only: dropout
    is left out.
    """
    for layer in layers:
        kind = type(layer).__name__
        if layer.unroll and kind in _CELLS and not (layer.stateful or layer.time_major):
            layer.call = _call(layer, layer.call, _CELLS[kind])


def _call(layer: Any, before: Callable[..., Any], steps_of: Callable[[Any, tf.Tensor], Step]) -> Callable[..., Any]:
    def call(inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None) -> Any:
        if mask is not None or initial_state is not None or isinstance(inputs, list | tuple):
            return before(inputs, mask=mask, training=training, initial_state=initial_state)
        step, order = steps_of(layer.cell, inputs), range(inputs.shape[1])
        state: tuple[tf.Tensor, ...] = ()
        outputs = []
        for number in reversed(order) if layer.go_backwards else order:
            state = step(number, state)
            outputs.append(state[0])
        result = tf.stack(outputs, axis=1) if layer.return_sequences else outputs[-1]
        return [result, *state] if layer.return_state else result

    return call


def _lstm(cell: Any, inputs: tf.Tensor) -> Step:
    """State: h, c. Source: the gates i, f, c, o of ``tf_keras.layers.LSTMCell``."""
    xs = _inputs(inputs, cell.kernel, cell.bias)
    gate, new = cell.recurrent_activation, cell.activation

    def step(number: int, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        if not state:
            i, _, c, o = _parts(xs[number], cell.units, 4)
            carry = gate(i()) * new(c())
            return gate(o()) * new(carry), carry
        i, f, c, o = tf.split(xs[number] + tf.matmul(state[0], cell.recurrent_kernel), 4, axis=1)
        carry = gate(f) * state[1] + gate(i) * new(c)
        return gate(o) * new(carry), carry

    return step


def _gru(cell: Any, inputs: tf.Tensor) -> Step:
    """State: h. Source: gates z, r and candidate of ``tf_keras.layers.GRUCell``, which resets before or after."""
    both, units = 2 * cell.units, cell.units
    bias, inner_bias = tf.unstack(cell.bias) if cell.reset_after and cell.use_bias else (cell.bias, None)
    gate_bias = bias if inner_bias is None else bias + inner_bias
    of_gates = _inputs(inputs, cell.kernel[:, :both], None if gate_bias is None else gate_bias[:both])
    of_new = _inputs(inputs, cell.kernel[:, both:], None if bias is None else bias[both:])
    gates, recurrent = cell.recurrent_kernel[:, :both], cell.recurrent_kernel[:, both:]
    gate, new = cell.recurrent_activation, cell.activation

    def step(number: int, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        summed = of_gates[number]
        if state:
            summed += tf.matmul(state[0], gates)
        both_gates = gate(summed)
        z, r = (part() for part in _parts(both_gates, units, 2)) if not state else tf.split(both_gates, 2, axis=1)
        if not state:
            candidate = new(of_new[number] if inner_bias is None else of_new[number] + r * inner_bias[both:])
            return (candidate - z * candidate,)
        if cell.reset_after:
            inner = tf.matmul(state[0], recurrent)
            candidate = new(of_new[number] + r * (inner if inner_bias is None else inner + inner_bias[both:]))
        else:
            candidate = new(of_new[number] + tf.matmul(r * state[0], recurrent))
        return (candidate + z * (state[0] - candidate),)

    return step


def _simple(cell: Any, inputs: tf.Tensor) -> Step:
    """State: h."""
    xs = _inputs(inputs, cell.kernel, cell.bias)

    def step(number: int, state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        summed = xs[number] + tf.matmul(state[0], cell.recurrent_kernel) if state else xs[number]
        return (summed if cell.activation is None else cell.activation(summed),)

    return step


def _inputs(inputs: tf.Tensor, kernel: Any, bias: Any) -> list[tf.Tensor]:
    """What the input of every step, shape (batch, features), adds: shape (batch, outputs) each."""
    product = tf.matmul(inputs, kernel)
    found: list[tf.Tensor] = tf.unstack(product if bias is None else product + bias, axis=1)
    return found


def _parts(gates: tf.Tensor, units: int, count: int) -> Iterator[Callable[[], tf.Tensor]]:
    """Cuts out the gates that are used, and no other.

    A SPLIT with an unused output is left in float or not from one conversion to the next.
    """
    return (partial(_part, gates, units, n) for n in range(count))


def _part(gates: tf.Tensor, units: int, number: int) -> tf.Tensor:
    return gates[:, number * units : (number + 1) * units]


_CELLS: dict[str, Callable[[Any, tf.Tensor], Step]] = {"LSTM": _lstm, "GRU": _gru, "SimpleRNN": _simple}

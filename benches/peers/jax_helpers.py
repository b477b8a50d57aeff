"""What JAX has no function of its own for, as its good user writes it."""

import jax
import jax.numpy as jnp
from jax import lax


def halves(x):
    """Segments of entries: the even ones, and the odd ones."""
    return jnp.arange(x.shape[0], dtype="i4") % 2


def window_of(x, size, stride, padding):
    sides, steps = (1, 1, size, size), (1, 1, stride, stride)
    return sides, steps, [(0, 0), (0, 0), (padding, padding), (padding, padding)]


def pool(x, *window):
    return lax.reduce_window(x, -float("inf"), lax.max, *window_of(x, *window))


def window_sum(x, *window):
    return lax.reduce_window(x, 0.0, lax.add, *window_of(x, *window))


def pool_back(x, *window):
    y, back = jax.vjp(lambda x: pool(x, *window), x)
    return back(y)[0]


def conv(x, kernel, how):
    windows = how["windows"]
    return lax.conv_general_dilated(
        x, kernel, [w["stride"] for w in windows], [tuple(w["padding"]) for w in windows], feature_group_count=how["groups"])


def loop_at_most(x, limit):
    inside = lambda s: (s[0] < limit) & (s[1].sum() < 10)
    return lax.while_loop(inside, lambda s: (s[0] + 1, s[1] + 1), (0, x))[1]

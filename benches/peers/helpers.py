"""What peers have no function of their own for, as their good users write it."""

import numpy as np


def divided(x, y):
    """A quotient of the same dtype."""
    return x / y if x.dtype.kind == "f" else np.trunc(x / y).astype(x.dtype)


def written(x, index, value):
    x = x.copy()
    x[index] = value
    return x


def at(ufunc, x, index, value):
    x = x.copy()
    ufunc.at(x, index, value)
    return x


def top_k(x, k, axis):
    """The largest, in order, and where they are."""
    some = np.argpartition(x, -k, axis).take(range(-k, 0), axis)
    values = np.take_along_axis(x, some, axis)
    order = np.flip(np.argsort(values, axis), axis)
    return np.take_along_axis(values, order, axis), np.take_along_axis(some, order, axis)


def sort_by(xs, axis):
    """Arrays in the order of the first."""
    order = np.argsort(xs[0], axis, stable=True)
    return [np.take_along_axis(x, order, axis) for x in xs]


def halves(x):
    """Segments of entries: the even ones, and the odd ones."""
    import jax.numpy as jnp
    return jnp.arange(x.shape[0], dtype="i4") % 2


def window_of(x, size, stride, padding):
    sides, steps = (1, 1, size, size), (1, 1, stride, stride)
    return sides, steps, [(0, 0), (0, 0), (padding, padding), (padding, padding)]


def pool(x, *window):
    from jax import lax
    return lax.reduce_window(x, -float("inf"), lax.max, *window_of(x, *window))


def window_sum(x, *window):
    from jax import lax
    return lax.reduce_window(x, 0.0, lax.add, *window_of(x, *window))


def pool_back(x, *window):
    import jax
    y, back = jax.vjp(lambda x: pool(x, *window), x)
    return back(y)[0]


def conv(x, kernel, how):
    from jax import lax
    windows = how["windows"]
    return lax.conv_general_dilated(
        x, kernel, [w["stride"] for w in windows], [tuple(w["padding"]) for w in windows], feature_group_count=how["groups"])


def of_eigenvalues(xp, f, a):
    """A function of a symmetric matrix."""
    w, v = xp.linalg.eigh(a)
    return (v * f(w)[..., None, :]) @ v.swapaxes(-1, -2)


def loop_at_most(x, limit):
    from jax import lax
    inside = lambda s: (s[0] < limit) & (s[1].sum() < 10)
    return lax.while_loop(inside, lambda s: (s[0] + 1, s[1] + 1), (0, x))[1]

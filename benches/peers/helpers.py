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


def of_eigenvalues(xp, f, a):
    """A function of a symmetric matrix."""
    w, v = xp.linalg.eigh(a)
    return (v * f(w)[..., None, :]) @ v.swapaxes(-1, -2)

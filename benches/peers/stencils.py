"""Rows 28 and 38 in JAX, with their inputs."""

import jax.numpy as jnp
from jax import lax

STEPS = 100


def repeated(step):
    return lambda x: lax.fori_loop(0, STEPS, lambda _, x: step(x), x)


def nine(at):
    """Heat after a step at a point, from itself and its eight neighbours."""
    sides = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1)
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    return at(0, 0) + 0.1 / 6 * (4 * sides + corners - 20 * at(0, 0))


def inside(x):
    n = x.shape[0] - 1
    return nine(lambda i, j: x[1 + i : n + i, 1 + j : n + j])


def heat_slices(x):
    return x.at[1:-1, 1:-1].set(inside(x))


def heat_mask(x):
    """The same with another way to keep the edges."""
    i = jnp.arange(x.shape[0])
    edge = (i == 0) | (i == x.shape[0] - 1)
    return jnp.where(edge[:, None] | edge, x, jnp.pad(inside(x), 1))


def heat_roll(x):
    return nine(lambda i, j: jnp.roll(x, (i, j), (0, 1)))


def heat_wrap(x):
    """The same as slices of what has been padded."""
    return inside(jnp.pad(x, 1, mode="wrap"))


def heat_space(x):
    n = x.shape[0] - 1
    at = lambda i, j, k: x[1 + i : n + i, 1 + j : n + j, 1 + k : n + k]
    around = at(-1, 0, 0) + at(1, 0, 0) + at(0, -1, 0) + at(0, 1, 0) + at(0, 0, -1) + at(0, 0, 1)
    return x.at[1:-1, 1:-1, 1:-1].set(at(0, 0, 0) + 0.1 * (around - 6 * at(0, 0, 0)))


def life(count):
    def step(x):
        three = x + jnp.roll(x, 1, 0) + jnp.roll(x, -1, 0)
        n = three + jnp.roll(three, 1, 1) + jnp.roll(three, -1, 1) - x
        return ((n == 3) | ((n == 2) & (x == 1))).astype(count)
    return lambda x: repeated(step)(x.astype(count))


def programs():
    image, cells = [("f4", (768, 768))], [("i4", (1024, 1024), lambda rng, shape: rng.integers(0, 2, shape))]
    slices = {"JAX": repeated(heat_slices), "JAX mask": repeated(heat_mask)}
    yield "28 slices", image, slices
    yield "28 roll", image, {"JAX": repeated(heat_roll), "JAX wrap": repeated(heat_wrap)}
    yield "28 each", image, slices
    yield "28 space", [("f4", (96, 96, 96))], {"JAX": repeated(heat_space)}
    yield "38 i32", cells, {"JAX": life("i4")}
    yield "38 bool", cells, {"JAX": life("u1")}

"""Rows 32 and 40 in JAX, with their inputs."""

import numpy as np
import jax
import jax.numpy as jnp
from jax import lax


def edit_distance(a, b):
    n = b.shape[0]

    def row(above, letter):
        first = above[0] + 1

        def entry(left, item):
            other, diagonal, up = item
            new = jnp.minimum(jnp.minimum(left, up) + 1, diagonal + (letter != other))
            return new, new

        rest = lax.scan(entry, first, (b, above[:-1], above[1:]))[1]
        return jnp.concatenate([first[None], rest]), None

    return lax.scan(row, jnp.arange(n + 1, dtype="i4"), a)[0][-1]


def edit_distance_by_rows(a, b):
    """The same, a row at once: what comes from the left is a cumulative minimum."""
    places = jnp.arange(b.shape[0] + 1, dtype="i4")

    def row(above, letter):
        rest = jnp.minimum(above[1:] + 1, above[:-1] + (letter != b))
        return lax.cummin(jnp.concatenate([above[:1] + 1, rest]) - places) + places, None

    return lax.scan(row, places, a)[0][-1]


def edit_distance_by_diagonals(a, b):
    """The same, a diagonal at once: all its entries are independent."""
    n = b.shape[0]
    places = jnp.arange(n + 1, dtype="i4")
    backwards = jnp.concatenate([jnp.full(n + 1, -1, "i4"), a[::-1], jnp.full(n + 1, -1, "i4")])

    def diagonal(state, d):
        before, last = state
        letters = lax.dynamic_slice(backwards, (2 * n + 2 - d,), (n,))
        rest = jnp.minimum(jnp.minimum(last[1:], last[:-1]) + 1, before[:-1] + (letters != b))
        new = jnp.where(places == d, d, jnp.concatenate([d[None], rest]))
        return (last, new), None

    start = jnp.zeros(n + 1, "i4"), jnp.ones(n + 1, "i4")
    return lax.scan(diagonal, start, jnp.arange(2, 2 * n + 1, dtype="i4"))[0][1][-1]


def shortest_paths(lengths):
    step = lambda k, d: jnp.minimum(d, d[:, k, None] + d[k])
    return lax.fori_loop(0, lengths.shape[0], step, lengths)


def likelihood(p, series):
    damping, drift, noise = p
    motion = jnp.array([[1.0, 1.0], [0.0, 0.8 + 0.1 * damping]])
    drift, noise = jnp.exp(drift) * jnp.eye(2), jnp.exp(noise)

    def step(state, seen):
        mean, covariance = state
        mean = motion @ mean
        covariance = motion @ covariance @ motion.T + drift
        spread = covariance[0, 0] + noise
        gap = seen - mean[0]
        gain = covariance[:, 0] / spread
        new = -0.5 * (gap**2 / spread + jnp.log(spread) + np.log(2 * np.pi))
        return (mean + gain * gap, covariance - jnp.outer(gain, covariance[0])), new

    return lax.scan(step, (jnp.zeros(2), jnp.eye(2)), series)[1].sum()


def likelihood_by_numbers(p, series):
    """The same without matrices."""
    damping, drift, noise = p
    slow, drift, noise = 0.8 + 0.1 * damping, jnp.exp(drift), jnp.exp(noise)

    def step(state, seen):
        place, speed, a, b, c, total = state
        place, speed = place + speed, slow * speed
        a, b, c = a + 2 * b + c + drift, slow * (b + c), slow * slow * c + drift
        spread = a + noise
        gap = seen - place
        g, h = a / spread, b / spread
        total -= 0.5 * (gap**2 / spread + jnp.log(spread) + np.log(2 * np.pi))
        return (place + g * gap, speed + h * gap, a - g * a, b - g * b, c - h * b, total), None

    return lax.scan(step, (0.0, 0.0, 1.0, 0.0, 1.0, 0.0), series)[0][-1]


def mean_of(f):
    return lambda p, series: jax.vmap(f, (None, 0))(p, series).mean()


def programs():
    words, series = [("i4", (64, 256), lambda rng, shape: rng.integers(0, 4, shape))] * 2, [("f8", (3,)), ("f8", (5000, 100))]
    yield "32 edits", words, {"JAX": jax.vmap(edit_distance), "JAX rows": jax.vmap(edit_distance_by_rows),
                              "JAX diagonals": jax.vmap(edit_distance_by_diagonals)}
    lengths = [("i4", (256, 256), lambda rng, shape: rng.integers(1, 1000, shape))]
    yield "32 paths", lengths, {"JAX": shortest_paths}
    ways = {"JAX": mean_of(likelihood), "JAX numbers": mean_of(likelihood_by_numbers)}
    yield "40", series, ways
    yield "40 gradient", series, {name: jax.value_and_grad(f) for name, f in ways.items()}

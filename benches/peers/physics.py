"""Rows 39 and 42 in JAX, with their inputs."""

import numpy as np
import jax
import jax.numpy as jnp
from jax import lax


def pull(a, b, mass):
    way = b - a
    square = (way**2).sum() + 0.01
    return way * (mass / (square * jnp.sqrt(square)))


def accelerations(places, masses):
    one = lambda a: jax.vmap(pull, (None, 0, 0))(a, places, masses).sum(0)
    return jax.vmap(one)(places)


def accelerations_by_axes(places, masses):
    """The same, an axis in a row of its own, and the sums as products with matrices."""
    axes = places.T
    way = axes[:, None, :] - axes[:, :, None]
    square = (way**2).sum(0) + 0.01
    return jnp.einsum("aij,ij->ia", way, masses / (square * jnp.sqrt(square)))


def leapfrog(accelerations):
    def f(x, v, masses):
        dt = 0.01

        def step(_, state):
            x, v = state
            x = x + v * dt
            return x, v + accelerations(x, masses) * dt

        return lax.fori_loop(0, 100, step, (x, v + accelerations(x, masses) * (dt / 2)))
    return f


def distance(radius, p):
    ball = lambda x, y, z: jnp.linalg.norm(p - jnp.array([x, y, z], "f4"))
    a, b = ball(0, 0, 0) - radius, ball(0.9, 0.6, -0.3) - 0.5
    near = jnp.maximum(0.3 - abs(a - b), 0) / 0.3
    balls = jnp.minimum(a, b) - near**2 * (0.3 / 4)
    return jnp.minimum(balls, p[1] + 1)


def pixel(radius, u, v):
    eye = jnp.array([0, 0.3, -3], "f4")
    way = jnp.stack([u, v, jnp.float32(1.5)])
    way = way / jnp.linalg.norm(way)

    def step(state):
        t, d, n = state
        t = t + d
        return t, distance(radius, eye + t * way), n + 1

    walks = lambda s: (s[1] > 1e-3) & (s[0] < 20) & (s[2] < 100)
    t = lax.while_loop(walks, step, (jnp.float32(0), distance(radius, eye), 0))[0]
    normal = jax.grad(distance, 1)(radius, eye + t * way)
    brightness = jnp.maximum(normal @ jnp.array([0.5, 0.7, -0.5], "f4"), 0) * jnp.exp(-0.1 * t)
    return jnp.where(t < 20, brightness, 0)


def image(radius, us, vs):
    return jax.vmap(jax.vmap(pixel, (None, 0, None)), (None, None, 0))(radius, us, vs)


def image_slope(radius, us, vs):
    return jax.jvp(lambda radius: image(radius, us, vs), (radius,), (jnp.ones_like(radius),))


def programs():
    mass = lambda rng, shape: rng.uniform(0.5, 1, shape) / shape[0]
    yield "39 forces", [("f4", (4096, 3)), ("f4", (4096,), mass)], {
        "JAX": accelerations, "JAX axes": accelerations_by_axes}
    yield "39 steps", [("f4", (256, 3)), ("f4", (256, 3)), ("f4", (256,), mass)], {
        "JAX": leapfrog(accelerations), "JAX axes": leapfrog(accelerations_by_axes)}
    line = lambda rng, shape: np.linspace(-0.8, 0.8, shape[0])
    scene = [("f4", (), lambda rng, shape: np.float32(0.8)), ("f4", (512,), line), ("f4", (512,), line)]
    yield "42", scene, {"JAX": image}
    yield "42 jvp", scene, {"JAX": image_slope}

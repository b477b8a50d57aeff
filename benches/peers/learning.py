"""Rows 33, 35, 41 and 43 in JAX, with their inputs."""

import jax
import jax.numpy as jnp
from jax import lax

HIDDEN = 64


def surprise(scores, label):
    return -jax.nn.log_softmax(scores)[label]


def step_of(loss):
    """A step against the gradient of a mean over examples."""
    def step(p, x, y):
        mean = lambda p: jax.vmap(loss, (None, 0, 0))(p, x, y).mean()
        return jax.tree.map(lambda p, g: p - 0.1 * g, p, jax.grad(mean)(p))
    return lambda *args: step(args[:-2], *args[-2:])


def cnn_loss(p, image, label):
    def layer(x, kernel, bias):
        y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME") + bias[:, None, None]
        return lax.reduce_window(jax.nn.relu(y), -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    x = layer(layer(image[None, None], *p[:2]), *p[2:4])
    return surprise(x.ravel() @ p[4] + p[5], label)


def cnn_loss_last(p, image, label):
    """The same with channels last, which XLA prefers on processors."""
    def layer(x, kernel, bias):
        kernel = kernel.transpose(2, 3, 1, 0)
        y = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias
        y = jax.nn.relu(y)
        n, h, w, c = y.shape
        return y.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
    x = layer(layer(image[None, :, :, None], *p[:2]), *p[2:4])
    return surprise(x.transpose(0, 3, 1, 2).ravel() @ p[4] + p[5], label)


def cross_entropy(x, labels):
    return jax.vmap(surprise)(x, labels).mean()


def cross_entropy_by_rows(x, labels):
    picked = jnp.take_along_axis(x, labels[:, None], 1)[:, 0]
    return (jax.nn.logsumexp(x, 1) - picked).mean()


def gru_loss(p, sequence, target):
    kernel, recurrent, bias, out = p

    def step(state, x):
        new, old = jnp.split(x @ kernel + bias, 3), jnp.split(state @ recurrent, 3)
        keep, reset = jax.nn.sigmoid(new[0] + old[0]), jax.nn.sigmoid(new[1] + old[1])
        fresh = jnp.tanh(new[2] + reset * old[2])
        return (1 - keep) * fresh + keep * state, None

    return (lax.scan(step, jnp.zeros(HIDDEN, "f4"), sequence)[0] @ out - target) ** 2


def process(p, x, y):
    size, lengths, noise = jnp.exp(p[0]), jnp.exp(p[1:6]), jnp.exp(p[6])
    kernel = lambda a, b: size * jnp.exp(-0.5 * (((a - b) / lengths) ** 2).sum())
    covariance = jax.vmap(lambda a: jax.vmap(lambda b: kernel(a, b))(x))(x) + noise * jnp.eye(len(x))
    factor = jnp.linalg.cholesky(covariance)
    white = jax.scipy.linalg.solve_triangular(factor, y, lower=True)
    return 0.5 * white @ white + jnp.log(jnp.diagonal(factor)).sum()


def small(size):
    return lambda rng, shape: rng.uniform(-size, size, shape)


def programs():
    cnn = [("f4", (16, 1, 5, 5), small(0.3)), ("f4", (16,), small(0.1)), ("f4", (32, 16, 5, 5), small(0.1)),
           ("f4", (32,), small(0.1)), ("f4", (1568, 10), small(0.05)), ("f4", (10,), small(0.1)),
           ("f4", (64, 28, 28), small(1)), ("i4", (64,))]
    yield "33", cnn, {"JAX": step_of(cnn_loss), "JAX channels last": step_of(cnn_loss_last)}
    logits = [("f4", (4096, 5000)), ("i4", (4096,), lambda rng, shape: rng.integers(0, 5000, shape))]
    yield "35", logits, {"JAX": jax.value_and_grad(cross_entropy), "JAX rows": jax.value_and_grad(cross_entropy_by_rows)}
    gru = [("f4", (64, 192), small(0.15)), ("f4", (64, 192), small(0.15)), ("f4", (192,), small(0.15)), ("f4", (64,), small(0.3)),
           ("f4", (64, 100, 64), small(1)), ("f4", (64,))]
    yield "41", gru, {"JAX": step_of(gru_loss)}
    yield "43", [("f8", (7,)), ("f8", (2000, 5)), ("f8", (2000,))], {"JAX": jax.value_and_grad(process)}

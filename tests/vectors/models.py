"""Writes models.json: what Optax and JAX compute for the optimisers, schedules, losses and initial weights
that tests/tests/models compares. Needs jax==0.10.2 and optax==0.2.8.

    python tests/vectors/models.py
"""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
HERE = pathlib.Path(__file__).parent
STEPS = 8

entries = []


def pack(x):
    x = np.asarray(x)
    # Floats as text, so that every reader gets the same bits.
    data = [repr(float(v)) if x.dtype.kind == "f" else int(v) for v in x.reshape(-1)]
    return {"dtype": str(x.dtype), "shape": list(x.shape), "data": data}


def add(name, inputs, outputs):
    entries.append({"name": name, "in": [pack(x) for x in inputs], "out": [pack(y) for y in outputs]})


def optimisers():
    """The parameters of two models, a gradient for each step and model, and the parameters after each step:
    leaves w [2, models, 3, 2] and b [2, models, 2], the gradients with an axis of steps before."""
    g = np.random.default_rng(0)
    models = {"w": g.normal(size=(2, 3, 2)), "b": g.normal(size=(2, 2))}
    gradients = {"w": g.normal(size=(STEPS, 2, 3, 2)), "b": g.normal(size=(STEPS, 2, 2))}
    # Elements whose gradient is 0, and one that is large.
    gradients["w"][:, :, 0, 0] = 0.0
    gradients["b"][3, 0, 1] = 50.0
    schedule = optax.warmup_cosine_decay_schedule(0.0, 0.3, 3, 7, 0.01)
    for name, optimiser in [
        ("sgd", optax.sgd(0.1)),
        ("sgd momentum", optax.sgd(0.1, momentum=0.9)),
        ("sgd nesterov", optax.sgd(0.1, momentum=0.9, nesterov=True)),
        ("sgd schedule", optax.sgd(schedule, momentum=0.5)),
        ("sgd clipped", optax.chain(optax.clip_by_global_norm(2.5), optax.sgd(0.1))),
        ("adam", optax.adam(0.05)),
        ("adam betas", optax.adam(0.05, b1=0.7, b2=0.95, eps=1e-3)),
        ("adam schedule", optax.adam(schedule)),
        ("adamw", optax.adamw(0.05, weight_decay=0.1)),
    ]:

        def step(carry, gradient):
            params, state = carry
            updates, state = optimiser.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        def run(params, gradients):
            return jax.lax.scan(step, (params, optimiser.init(params)), gradients)[1]

        params = jax.vmap(run, (0, 1), 1)(models, gradients)
        leaves = lambda tree: [tree["w"], tree["b"]]
        add(name, leaves(models) + leaves(gradients), leaves(params))


def schedules():
    steps = np.arange(25)
    for name, schedule in [
        ("constant", optax.constant_schedule(0.3)),
        ("linear", optax.linear_schedule(0.3, 0.1, 8)),
        ("exponential", optax.exponential_decay(0.3, 5, 0.5)),
        ("cosine", optax.cosine_decay_schedule(0.3, 15, 0.1)),
        ("warm-up", optax.warmup_cosine_decay_schedule(0.0, 0.3, 6, 20, 0.03)),
        ("piecewise", optax.piecewise_constant_schedule(0.3, {4: 0.5, 11: 0.1})),
    ]:
        add(f"schedule {name}", [steps], [jnp.stack([jnp.float64(schedule(jnp.int32(i))) for i in steps])])


def losses():
    g = np.random.default_rng(1)
    x, y = g.normal(size=(4, 6)) * 3, g.normal(size=(4, 6)) * 3
    y[:, 2] = x[:, 2]
    logits, classes = g.normal(size=(5, 7)) * 20, g.integers(0, 7, size=5).astype(np.int32)
    p = np.exp(g.normal(size=(5, 7)))
    p[:, 3] = 0.0
    p /= p.sum(-1, keepdims=True)
    yes = g.integers(0, 2, size=(5, 7)).astype(np.int32)

    def mean(f):
        return lambda a, b: jnp.mean(f(a, b))

    def both(name, f, a, b):
        """Losses of a batch, and the gradients in the predictions."""
        add(f"loss {name}", [a, b], [jax.vmap(f)(a, b), jax.vmap(jax.grad(f))(a, b)])

    both("mean_squared_error", mean(optax.losses.squared_error), x, y)
    both("mean_absolute_error", mean(lambda a, b: jnp.abs(a - b)), x, y)
    both("huber", mean(lambda a, b: optax.losses.huber_loss(a, b, delta=1.5)), x, y)
    both("log_cosh", mean(optax.losses.log_cosh), x, y)
    both("hinge", mean(optax.losses.hinge_loss), x, np.sign(y))
    both("binary", mean(optax.losses.sigmoid_binary_cross_entropy), logits, p)
    both("binary of integers", mean(optax.losses.sigmoid_binary_cross_entropy), logits, yes)
    both("softmax", optax.losses.softmax_cross_entropy, logits, p)
    both("softmax of classes", optax.losses.softmax_cross_entropy_with_integer_labels, logits, classes)
    both("kl_divergence", optax.losses.kl_divergence, np.asarray(jax.nn.log_softmax(logits)), p)


def initial_weights():
    init = jax.nn.initializers
    for name, f in [
        ("glorot_uniform", init.glorot_uniform), ("glorot_normal", init.glorot_normal),
        ("he_uniform", init.he_uniform), ("he_normal", init.he_normal),
        ("lecun_uniform", init.lecun_uniform), ("lecun_normal", init.lecun_normal),
    ]:
        for dtype in (jnp.float32, jnp.float64):
            add(f"init {name}", [], [f()(jax.random.PRNGKey(3), (4, 3), dtype)])
    # Kernels of convolutions, features and channels first.
    f = init.he_normal(in_axis=1, out_axis=0)
    add("init kernel", [], [f(jax.random.PRNGKey(3), (4, 2, 3, 3), jnp.float64)])


def minima():
    """A logistic regression: data, classes, and the weights at which its penalised likelihood is least."""
    g = np.random.default_rng(2)
    x = g.normal(size=(40, 3))
    y = (x @ np.array([1.0, -2.0, 0.5]) + g.normal(size=40) > 0).astype(np.float64)

    def loss(w):
        return jnp.sum(optax.losses.sigmoid_binary_cross_entropy(x @ w, y)) + 0.5 * jnp.sum(w**2)

    def newton(_, w):
        return w - jnp.linalg.solve(jax.hessian(loss)(w), jax.grad(loss)(w))

    w = jax.lax.fori_loop(0, 20, newton, jnp.zeros(3))
    add("minimum", [x, y], [w, loss(w)])


def quasi_newton():
    """Steps of length 1 with a history of 3: the start, coefficients, and the parameters after each step."""
    start, c = np.array([0.3, -0.2, 0.1, 0.25, -0.15]), np.linspace(1.0, 2.0, 5)

    def f(x):
        return jnp.sum(c * x**2) / 2 + jnp.sum(x**4)

    optimiser = optax.lbfgs(1.0, memory_size=3, linesearch=None)

    def step(carry, _):
        x, state = carry
        updates, state = optimiser.update(jax.grad(f)(x), state, x)
        x = optax.apply_updates(x, updates)
        return (x, state), x

    _, steps = jax.lax.scan(step, (jnp.asarray(start), optimiser.init(start)), length=6)
    add("lbfgs", [start, c], [steps])


optimisers()
quasi_newton()
schedules()
losses()
initial_weights()
minima()
lines = ",\n".join(json.dumps(e) for e in entries)
(HERE / "models.json").write_text(f"[\n{lines}\n]\n")

"""Rows 29 to 45 in JAX and NumPy, as far as they are not elsewhere, with their inputs."""

import numpy as np
import jax
import jax.numpy as jnp
from jax import lax

PATHS, NODES, GROUPS = 100_000, 100_000, 1000


def barrier_option(u):
    spot, volatility = 100 + 5 * u[0], 0.2 + 0.05 * u[1]
    key = jax.random.key(7)
    drift, spread = (0.02 - 0.5 * volatility**2) / 252, volatility / np.float32(252**0.5)

    def day(state, day):
        log, alive = state
        z = jax.random.normal(jax.random.fold_in(key, day), (PATHS,), "f4")
        log = log + drift + spread * z
        return (log, alive & (log < np.float32(np.log(130)))), None

    start = jnp.broadcast_to(jnp.log(spot), (PATHS,)), jnp.ones(PATHS, bool)
    log, alive = lax.scan(day, start, jnp.arange(252, dtype="u4"))[0]
    payoff = jnp.maximum(jnp.exp(log) - 100, 0)
    return jnp.where(alive, payoff, 0).mean() * np.exp(np.float32(-0.02))


def interp(np_):
    return lambda ys, x: np_.interp(x, np_.linspace(-1, 1, ys.shape[0], dtype=ys.dtype), ys)


def bilinear(np_):
    """Of all positions at once: as fast as `vmap` over them."""
    def f(image, positions):
        place = (positions + 1) * 511
        corner = np_.floor(place)
        s, t = (place - corner).T
        i, j = corner.astype("i4").T
        upper = image[i, j] * (1 - t) + image[i, j + 1] * t
        lower = image[i + 1, j] * (1 - t) + image[i + 1, j + 1] * t
        return upper * (1 - s) + lower * s
    return f


def labels(x, centres):
    return jax.vmap(lambda p: jnp.argmin(((centres - p) ** 2).sum(1)))(x)


def k_means(sums):
    def step(_, centres, x):
        total, counts = sums(x, labels(x, centres))
        return total / jnp.maximum(counts, 1)[:, None]
    return lambda x: lax.fori_loop(0, 10, lambda i, centres: step(i, centres, x), x[:32])


def sums_by_writes(x, labels):
    return jnp.zeros((32, 8)).at[labels].add(x), jnp.zeros(32).at[labels].add(1)


def sums_by_products(x, labels):
    members = jax.nn.one_hot(labels, 32).T
    return members @ x, members.sum(1)


def mixture_step(x, means, spreads, weights):
    variances = jnp.exp(spreads)

    def responsibilities(p):
        scores = ((p - means) ** 2 / variances + spreads).sum(1)
        return jax.nn.softmax(jax.nn.log_softmax(weights) - 0.5 * scores)

    r = jax.vmap(responsibilities)(x).T
    total = r.sum(1)
    means = r @ x / total[:, None]
    variances = r @ x**2 / total[:, None] - means**2
    return means, jnp.log(variances), jnp.log(total / len(x))


def convolved(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), [(1, 1), (1, 1)])


def depthwise(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1,), [(3, 0)], feature_group_count=64)


def depthwise_shifts(x, kernel):
    """The same as a sum of shifted products, which is faster than XLA's convolution."""
    padded = jnp.pad(x, [(0, 0), (0, 0), (3, 0)])
    return sum(padded[..., i : i + x.shape[-1]] * kernel[:, 0, i, None] for i in range(4))


def with_gradient(f):
    return jax.value_and_grad(lambda x, k: (f(x, k) ** 2).sum(), (0, 1))


def symmetric(a):
    return (a + a.swapaxes(-1, -2)) / 2


def eigen_loss(a):
    values, vectors = jnp.linalg.eigh(symmetric(a))
    weights = jnp.arange(1.0, 10.0).reshape(3, 3)
    return (values * jnp.arange(1.0, 4.0)).sum() + (vectors**2 * weights).sum()


def singular_loss(a):
    return (jnp.linalg.svd(a, compute_uv=False) * jnp.arange(1.0, 4.0)).sum()


def bootstrap(x):
    def resample(key):
        sample = x[jax.random.randint(key, x.shape, 0, x.shape[0], "i4")]
        return sample.mean(), jnp.median(sample)
    return jax.vmap(resample)(jax.random.split(jax.random.key(3), 1000))


def page_rank(source, target):
    degrees = jnp.maximum(jnp.zeros(NODES).at[source].add(1), 1)
    step = lambda _, rank: 0.15 / NODES + 0.85 * jnp.zeros(NODES).at[target].add((rank / degrees)[source])
    return lax.fori_loop(0, 20, step, jnp.full(NODES, 1 / NODES))


def page_rank_numpy(source, target):
    degrees = np.maximum(np.bincount(source, minlength=NODES), 1)
    rank = np.full(NODES, 1 / NODES)
    for _ in range(20):
        rank = 0.15 / NODES + 0.85 * np.bincount(target, (rank / degrees)[source], NODES)
    return rank


def ranks(np_):
    return lambda x: np_.argsort(np_.argsort(x, 1, stable=True), 1)


def quantiles(np_):
    """Medians of groups, of which none is empty."""
    def f(x, group):
        values = x[np_.lexsort((x, group))]
        counts = np_.bincount(group, **({"length": GROUPS} if np_ is jnp else {"minlength": GROUPS}))
        start = np_.cumsum(counts) - counts
        place = 0.5 * (counts - 1)
        low = np_.floor(place).astype("i4")
        high = np_.minimum(low + 1, counts - 1)
        part = place - low
        return values[start + low] * (1 - part) + values[start + high] * part
    return f


def below(n):
    return lambda rng, shape: rng.integers(0, n, shape)


def ascending(n):
    return lambda rng, shape: np.sort(rng.integers(0, n, shape))


def programs():
    """Name, inputs (dtype, shape and, if need be, how they are drawn), and the programs of the peers."""
    yield "29 grad", [("f4", (2,))], {"JAX": jax.value_and_grad(barrier_option)}
    yield "29 jvp", [("f4", (2,))], {"JAX": lambda u: (barrier_option(u), jax.jacfwd(barrier_option)(u))}
    for dtype, word in [("f8", "f64"), ("f4", "f32")]:
        yield f"30 interp {word}", [(dtype, (1000,)), (dtype, (10**6,))], {"NumPy": interp(np), "JAX": interp(jnp)}
        yield f"30 image {word}", [(dtype, (1024, 1024)), (dtype, (10**6, 2))], {"NumPy": bilinear(np), "JAX": bilinear(jnp)}
    points = ("f8", (100_000, 8))
    yield "31 writes", [points], {"JAX": k_means(sums_by_writes), "JAX products": k_means(sums_by_products)}
    yield "31 products", [points], {"JAX": k_means(sums_by_writes), "JAX products": k_means(sums_by_products)}
    yield "31 mixture", [points, ("f8", (32, 8)), ("f8", (32, 8)), ("f8", (32,))], {"JAX": mixture_step}
    images = [("f4", (16, 16, 56, 56)), ("f4", (32, 16, 3, 3))]
    yield "34 image", images, {"JAX": convolved}
    yield "34 image gradient", images, {"JAX": with_gradient(convolved)}
    signals = [("f4", (8, 64, 4096)), ("f4", (64, 1, 4))]
    yield "34 depthwise", signals, {"JAX": depthwise, "JAX shifts": depthwise_shifts}
    yield "34 depthwise gradient", signals, {"JAX": with_gradient(depthwise), "JAX shifts": with_gradient(depthwise_shifts)}
    small, tall = [("f8", (100_000, 3, 3))], [("f8", (20_000, 4, 3))]
    yield "36 eigen", small, {"NumPy": lambda a: np.linalg.eigh(symmetric(a))[0], "JAX": lambda a: jnp.linalg.eigh(symmetric(a))[0]}
    yield "36 eigen gradient", small, {"JAX": jax.vmap(jax.value_and_grad(eigen_loss))}
    singular = lambda np_: lambda a: np_.linalg.svd(a, compute_uv=False)
    yield "36 singular", tall, {"NumPy": singular(np), "JAX": singular(jnp)}
    yield "36 singular gradient", tall, {"JAX": jax.vmap(jax.value_and_grad(singular_loss))}
    yield "37", [("f8", (5000,))], {"JAX": bootstrap}
    for name, draw in [("44", below), ("44 sorted", ascending)]:
        edges = [("i4", (10**6,), below(NODES)), ("i4", (10**6,), draw(NODES))]
        yield name, edges, {"NumPy": page_rank_numpy, "JAX": page_rank}
    yield "45 ranks", [("f4", (1000, 10_000))], {"NumPy": ranks(np), "JAX": ranks(jnp)}
    groups = [("f8", (10**6,)), ("i4", (10**6,), below(GROUPS))]
    yield "45 quantiles", groups, {"NumPy": quantiles(np), "JAX": quantiles(jnp)}

"""Transforms and loops, of the small functions that the catalogue gives them."""

from lines import Not, Op

VECTOR = {"x": (1_000_000,), "dtypes": ["f32", "f64"]}
ROWS = {"x": (1000, 1000), "dtypes": ["f32", "f64"]}
STEPS = {"variants": [{"x": (1000, 100)}, {"x": (100, 10_000)}], "dtypes": ["f32", "f64"]}
SMOOTH = "lambda x: jnp.sum(jnp.sin(x) * x)"
SLOPE = "np.cos(x) * x + np.sin(x)"
SUM = "lax.psum(x, 'i')"
SMALL = {"x": (100,), "dtypes": ["f32", "f64"]}


def along(body):
    return f"jax.vmap(lambda x: {body}, axis_name='i')(x)"


TRANSFORMS = {
    "grad(x)": Op(f"jax.grad({SMOOTH})(x)", SLOPE, **VECTOR),
    "value_and_grad(x)": Op(f"jax.value_and_grad({SMOOTH})(x)", **VECTOR),
    "grad_with_aux(x)": Op("jax.grad(lambda x: (jnp.sum(jnp.sin(x) * x), x), has_aux=True)(x)", **VECTOR),
    "value_and_grad_with_aux(x)": Op("jax.value_and_grad(lambda x: (jnp.sum(jnp.sin(x) * x), x), has_aux=True)(x)", **VECTOR, check="none"),
    "jvp(x, t)": Op("jax.jvp(jnp.sin, (x,), (t,))", **VECTOR),
    "vjp(x, t)": Op("(lambda y, back: (y, back(t)))(*jax.vjp(jnp.sin, x))", **VECTOR),
    "linearize(x, t)": Op("(lambda y, f: (y, f(t)))(*jax.linearize(jnp.sin, x))", **VECTOR),
    "linear_transpose(x, t)": Op("jax.linear_transpose(lambda x: x * 2, x)(t)", **VECTOR),
    "jacfwd(x)": Op("jax.jacfwd(jnp.sin)(x)", **SMALL),
    "jacrev(x)": Op("jax.jacrev(jnp.sin)(x)", **SMALL),
    "jacfwd(x, size)": Op("jax.jacfwd(jnp.sin)(x)", size=10, **SMALL),
    "jacfwd_tree(x)": Op("jax.jacfwd(jnp.sin)(x)", **SMALL),
    "jacrev_tree(x)": Op("jax.jacrev(jnp.sin)(x)", **SMALL),
    "hessian(x)": Op(f"jax.hessian({SMOOTH})(x)", **SMALL),
    "hessian_tree(x)": Op(f"jax.hessian({SMOOTH})(x)", **SMALL),
    "hvp(x, t)": Op(f"jax.jvp(jax.grad({SMOOTH}), (x,), (t,))[1]", **VECTOR),
    "checkpoint(x)": Op("jax.checkpoint(jnp.sin)(x)", **VECTOR),
    "custom_jvp(x)": Op("jnp.sin(x)", **VECTOR),
    "custom_vjp(x)": Op("jnp.sin(x)", **VECTOR),
    "check_grads(x, twice)": Not("a test"),
    "eval_shape(x)": Not("computes no values"),
    "ravel(x, y)": Op("(lambda v, back: (*back(v), v))(*jax.flatten_util.ravel_pytree((x, y)))", **VECTOR),
    "stack(x, y)": Op("xp.stack([x, y])", **VECTOR),
    "unstack(x)": Op("jnp.unstack(x)", "[a.copy() for a in x]", x=(16, 65_536), dtypes=["f32"]),
    "vmap(x, axis)": Op("jax.vmap(lambda x: x, axis)(x)", **ROWS),
    "vmap(x, axis, out)": Op("jax.vmap(lambda x: x + x, axis, out)(x)", axis=0, out=1, **ROWS),
    "vmap(x, axis, size)": Op("jax.vmap(lambda x: x + x, axis)(x)", axis=0, size=100, **ROWS),
    "jit(x)": Op("xp.sin(x)", **VECTOR),
    "vectorize(x)": Op("jnp.vectorize(jnp.sum, signature='(n)->()')(x)", **ROWS),
    "map(x)": Op("lax.map(jnp.sin, x)", "np.sin(x)", **ROWS),
    "all_gather(x)": Op(along("lax.all_gather(x, 'i')"), x=(100, 100), dtypes=["f32", "f64"]),
    "psum(x)": Op(along("lax.psum(x, 'i')"), **ROWS),
    "pmean(x)": Op(along("lax.pmean(x, 'i')"), **ROWS),
    "pmax(x)": Op(along("lax.pmax(x, 'i')"), **ROWS),
    "pmin(x)": Op(along("lax.pmin(x, 'i')"), **ROWS),
    "permute_examples(x, source)": Op(along("lax.ppermute(x, 'i', [(s, d) for d, s in enumerate(source)])"), source=range(999, -1, -1), **ROWS),
    "axis_index(x)": Op(along("lax.axis_index('i')"), **ROWS),
    "axis_size(x)": Op(along("lax.axis_size('i')"), **ROWS),
    "each(x)": Op("jax.vmap(lambda x: x)(x)", **ROWS),
    "each_to(x, n)": Op("jax.vmap(lambda i: x.at[i].get(mode='clip'))(jnp.arange(n))", n=1_000_000, **VECTOR),
    "host_call(x)": Not("leaves the program for the host"),
    "scan(x, c)": Op("lax.scan(lambda c, x: (c + x.sum(), c + x.sum()), c, x)", **STEPS),
    "scan_reverse(x, c)": Op("lax.scan(lambda c, x: (c + x.sum(), c + x.sum()), c, x, reverse=True)", **STEPS),
    "scan_times(x, count)": Op("lax.scan(lambda c, _: (jnp.sin(c), c.sum()), x, None, count)", count=100, variants=[{"x": (10_000,)}, {"x": (4,)}]),
    "fori_loop(x, count)": Op("lax.fori_loop(0, count, lambda _, c: jnp.sin(c), x)", count=100, variants=[{"x": (10_000,)}, {"x": (4,)}]),
    "while_loop(x, limit)": Op("lax.while_loop(lambda s: (s[1].sum() + 10 < limit) & (s[0] < 5), lambda s: (s[0] + 1, s[1] + 1), (0, x))",
                               domain={"limit": (1e9, 1e9)}, variants=[{"x": (1_000_000,)}, {"x": (4,)}]),
    "while_loop_at_most(x, limit)": Op("jh.loop_at_most(x, limit)", limit=5, domain={"x": (-0.2, -0.1)}, variants=[{"x": (100_000,)}], dtypes=["f64"]),
    "cond(x, on)": Op("lax.cond(on, lambda x: x, lambda x: x, x)", on=lambda rng: rng.integers(1, 2, ()) == 1, **VECTOR),
    "switch(x, which)": Op("lax.switch(which, [lambda x: x, lambda x: x], x)", which=lambda rng: rng.integers(1, 2, ()).astype("i4"), **VECTOR),
    "associative_scan(x)": Op("lax.associative_scan(jnp.add, x)", "np.cumsum(x, 0)", **ROWS, tolerance=1e-3),
    "reduce(x, init, axes)": Op("lax.reduce(x, init, lax.add, axes)", "x.sum(axes) + init", axes=[0], domain={"init": (0, 0)}, **ROWS),
}

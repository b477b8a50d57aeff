"""Functions that rearrange elements. NumPy's are views, copied where they are: unloop's results are
arrays of their own, as JAX's are."""

from lines import Op

PAIR = {"xs": [(500, 1000), (500, 1000)]}

REARRANGING = {
    "Tensor::reshape(x, shape)": Op("x.reshape(shape)", "x.reshape(shape).copy()", variants=[{"x": (1000, 1000), "shape": (500, 2000)}]),
    "Tensor::flatten(x)": ("x.reshape(-1)", "x.flatten()"),
    "Tensor::ravel(x)": ("x.ravel()", "x.flatten()"),
    "Tensor::t(x)": Op("x.T", "x.T.copy()", variants=[{"x": (1000, 1000)}, {"x": (32, 32)}]),
    "Tensor::mt(x)": ("jnp.matrix_transpose(x)", "np.matrix_transpose(x).copy()"),
    "Tensor::permute(x, axes)": Op("jnp.transpose(x, axes)", "np.transpose(x, axes).copy()", variants=[
        {"x": (100, 100, 100), "axes": [2, 0, 1], "word": "axes 2, 0, 1"},
        {"x": (100, 100, 100), "axes": [1, 0, 2], "word": "axes 1, 0, 2"},
        {"x": (32, 56, 56, 16), "axes": [0, 3, 1, 2], "word": "axes 0, 3, 1, 2"},
    ]),
    "Tensor::swap_axes(x, a, b)": Op("jnp.swapaxes(x, a, b)", "np.swapaxes(x, a, b).copy()", x=(100, 100, 100), a=0, b=1),
    "Tensor::move_axis(x, a, b)": Op("jnp.moveaxis(x, a, b)", "np.moveaxis(x, a, b).copy()", x=(100, 100, 100), a=0, b=-1),
    "Tensor::broadcast_to(x, shape)": Op("jnp.broadcast_to(x, shape)", "np.broadcast_to(x, shape).copy()", x=(1000,), shape=(1000, 1000)),
    "Tensor::broadcast_in_dim(x, shape, axes)": Op(
        "lax.broadcast_in_dim(x, shape, (1,))", "np.broadcast_to(x, shape).copy()", x=(1000,), shape=(1000, 1000), axes=[0]),
    "Tensor::expand_dims(x, axis)": Op("jnp.expand_dims(x, axis)", "np.expand_dims(x, axis).copy()", x=(1000, 1000), axis=0),
    "Tensor::squeeze(x, axis)": Op("jnp.squeeze(x, axis)", "np.squeeze(x, axis).copy()", x=(1, 1_000_000), axis=0),
    "Tensor::unstack(x, axis)": Op("jnp.unstack(x, axis=axis)", "[a.copy() for a in np.moveaxis(x, axis, 0)]", x=(16, 4096, 16)),
    "Tensor::unstack_array(x)": Op("jnp.unstack(x)", "[a.copy() for a in x]", x=(2, 500_000)),
    "Tensor::slice(x, start, limit, step)": Op(
        "lax.slice(x, start, limit, step)", "x[10:900, 10:900:2].copy()", x=(1000, 1000), start=[10, 10], limit=[900, 900], step=[1, 2]),
    "Tensor::slice_axis(x, axis, start, limit)": Op(
        "lax.slice_in_dim(x, start, limit, axis=axis)", "np.moveaxis(np.moveaxis(x, axis, 0)[start:limit], 0, axis).copy()",
        x=(1000, 1000), start=100, limit=900),
    "Tensor::pad(x, amounts, fill)": Op("xp.pad(x, amounts, constant_values=fill)", x=(1000, 1000), amounts=[[1, 1], [2, 2]]),
    "Tensor::pad_with(x, pad, fill)": Op("lax.pad(x, fill, pad)", x=(1000, 1000), pad=[[1, 1, 1], [2, 0, 0]]),
    "Tensor::pad_mode(x, amounts, mode)": Op("xp.pad(x, amounts, mode)", variants=[
        {"x": (1000, 1000), "amounts": [[8, 8], [8, 8]], "mode": mode, "word": mode} for mode in ["reflect", "edge", "symmetric", "wrap"]
    ], dtypes=["f32"]),
    "Tensor::flip(x, axes)": ("jnp.flip(x, axes)", "np.flip(x, axes).copy()"),
    "Tensor::concatenate(xs, axis)": Op("xp.concatenate(xs, axis)", **PAIR),
    "Tensor::stack(xs, axis)": Op("xp.stack(xs, axis)", **PAIR),
    "Tensor::meshgrid(x, y)": Op("xp.meshgrid(x, y, indexing='ij')", x=(1000,)),
    "Tensor::broadcast_all(x, y)": Op("jnp.broadcast_arrays(x, y)", "[a.copy() for a in np.broadcast_arrays(x, y)]", x=(1000, 1), y=(1000,)),
    "Tensor::block_diag(xs)": Op("xl.block_diag(*xs)", xs=[(300, 300)] * 3),
    "Tensor::toeplitz(x, y)": Op("xl.toeplitz(x, y)", x=(1000,)),
    "Tensor::roll(x, shift, axis)": Op("xp.roll(x, shift, axis)", shift=137),
    "Tensor::repeat(x, count, axis)": Op("xp.repeat(x, count, axis)", x=(1000, 500), count=3),
    "Tensor::split(x, count, axis)": Op("jnp.split(x, count, axis)", "[a.copy() for a in np.split(x, count, axis)]", x=(1000, 1000), count=4),
    "Tensor::split_at(x, positions, axis)": Op(
        "jnp.split(x, positions, axis)", "[a.copy() for a in np.split(x, positions, axis)]", x=(1000, 1000), positions=[100, 400]),
    "Tensor::tile(x, counts)": Op("xp.tile(x, counts)", x=(500, 500), counts=[2, 2]),
    "Tensor::rot90(x, k)": Op("jnp.rot90(x, k)", "np.rot90(x, k).copy()", x=(1000, 1000), k=1),
    "Tensor::tril(x, k)": Op("xp.tril(x, k)", k=0),
    "Tensor::triu(x, k)": Op("xp.triu(x, k)", k=0),
    "Tensor::diagonal(x, k)": Op("jnp.diagonal(x, k, -2, -1)", "np.diagonal(x, k, -2, -1).copy()", k=0),
    "Tensor::diag(x, k)": Op("xp.diag(x, k)", x=(1000,), k=0),
    "Tensor::trace(x)": "xp.trace(x, 0, -2, -1)",
    "Tensor::kron(x, y)": Op("xp.kron(x, y)", variants=[{"x": (30, 30)}]),
    "Tensor::vander(x, count)": Op("xp.vander(x, count)", x=(100_000,), count=8),
}

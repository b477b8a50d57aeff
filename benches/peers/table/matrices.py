"""Products, factorisations, new tensors, polynomials of `Tensor`, and `linalg`."""

from lines import Not, Op

HOST = Not("moves values out of the library")
FLOATS = {"dtypes": ["f32", "f64"]}
COLUMN = "(a, b[..., None])[..., 0]"
LOWER = {"lower": True, "transpose": True, "unit_diagonal": False}
DIMS = {"lhs_contract": [2], "rhs_contract": [2], "lhs_batch": [0], "rhs_batch": [0]}
# Smaller than other matrices: their work is many times a product's.
SLOW = {"variants": [{"a": (200, 200)}, {"a": (4, 4), "mapped": 10_000}]}
SHAPE = {"variants": [{"shape": (1000, 1000)}]}
# Vectors and factors are unique but for signs, and neighbours nearly alike in f32.
VALUES = {"check": "values", "tolerance": 1e-3}

MATRICES = {
    "Tensor::matmul(x, y)": Op("x @ y", tolerance=1e-3, variants=[
        {"x": (500, 500)}, {"x": (4, 4), "mapped": 10_000}, {"x": (1000, 1000), "y": (1000,), **FLOATS}, {"x": (32, 32), **FLOATS}]),
    "Tensor::dot(x, y)": Op("xp.dot(x, y)", tolerance=1e-3, **FLOATS),
    "Tensor::outer(x, y)": Op("xp.outer(x, y)", x=(1000,)),
    "Tensor::tensordot(x, y, axes, others)": Op("xp.tensordot(x, y, (axes, others))", x=(500, 500), axes=[0], others=[0], tolerance=1e-3, **FLOATS),
    "Tensor::dot_general(x, y, dims)": Op("lax.dot_general(x, y, (((2,), (2,)), ((0,), (0,))))", "x @ y.swapaxes(1, 2)", x=(100, 64, 64),
                                          dims=DIMS, tolerance=1e-3, **FLOATS),
    "Tensor::einsum(x, y, formula)": Op("xp.einsum(formula, x, y)", tolerance=1e-3, variants=[
        {"x": (500, 500), "formula": "ij,jk->ik", "word": "ij,jk->ik"}, {"x": (100, 64, 64), "formula": "bij,bjk->bik", "word": "bij,bjk->bik"},
        {"x": (1000, 1000), "formula": "ij,ij->i", "word": "ij,ij->i"}], **FLOATS),
    "Tensor::attention(q, k, v)": Op("nn.softmax(q @ k.T / q.shape[-1] ** 0.5) @ v", variants=[
        {"q": (512, 64)}, {"q": (128, 32), "mapped": 64}], tolerance=1e-3),
    "Tensor::polynomial(p, at)": Op("xp.polyval(p, at)", p=(8,), at=(1_000_000,)),
    "Tensor::solve(a, b)": ("jnp.linalg.solve(a, b)", f"np.linalg.solve{COLUMN}"),
    "Tensor::solve_lower(a, b)": ("jax.scipy.linalg.solve_triangular(a, b, lower=True)", "sp.linalg.solve_triangular(a, b[..., None], lower=True)[..., 0]"),
    "Tensor::solve_upper(a, b)": ("jax.scipy.linalg.solve_triangular(a, b)", "sp.linalg.solve_triangular(a, b[..., None])[..., 0]"),
    "Tensor::triangular_solve(a, b, how)": Op(
        "jax.scipy.linalg.solve_triangular(a, b, lower=True, trans=1)", "sp.linalg.solve_triangular(a, b, lower=True, trans=1)",
        a=(500, 500), b=(500, 500), how=LOWER, tolerance=1e-3),
    "Tensor::inv(a)": "xp.linalg.inv(a)",
    "Tensor::det(a)": Op("xp.linalg.det(a)", tolerance=1e-3),
    "Tensor::slogdet(a)": Op("xp.linalg.slogdet(a)", tolerance=1e-3),
    "Tensor::cholesky(a)": "xp.linalg.cholesky(a)",
    "Tensor::try_cholesky(a)": "xp.linalg.cholesky(a)",
    "Tensor::eigh(a)": Op("xp.linalg.eigh(a)", **VALUES),
    "Tensor::is_positive_definite(a)": Op("~jnp.isnan(jnp.linalg.cholesky(a)).any()"),
    "Tensor::qr(a)": Op("xp.linalg.qr(a)", check="abs", tolerance=1e-3, variants=[
        {"a": (500, 500)}, {"a": (500, 50)}, {"a": (4, 4), "mapped": 10_000}]),
    "Tensor::singular_values(a)": Op("xp.linalg.svd(a, compute_uv=False)", tolerance=1e-3, variants=[
        {"a": (300, 300)}, {"a": (500, 50)}, {"a": (4, 4), "mapped": 10_000}]),
    "Tensor::svd(a)": Op("xp.linalg.svd(a, full_matrices=False)", **VALUES, variants=[
        {"a": (300, 300)}, {"a": (500, 50)}, {"a": (4, 4), "mapped": 10_000}]),
    "Tensor::lu(a)": Op("jax.lax.linalg.lu(a)", "sp.linalg.lu(a)", check="none"),
    # New tensors.
    "Tensor::full(shape, value)": Op("xp.full(shape, value)", **SHAPE),
    "Tensor::full_of(shape, value)": Op("xp.full(shape, value)", **SHAPE),
    "Tensor::zeros(dtype, shape)": Op("jnp.zeros(shape, dtype)", "np.full(shape, 0, dtype)", **SHAPE),
    "Tensor::ones(dtype, shape)": Op("xp.ones(shape, dtype)", **SHAPE),
    "Tensor::eye(dtype, n)": Op("jnp.eye(n, dtype=dtype)", "np.eye(n, dtype=dtype)", n=1000),
    "Tensor::iota(dtype, shape, axis)": Op("lax.broadcasted_iota(dtype, shape, axis)", "np.broadcast_to(np.arange(1000, dtype=dtype), shape).copy()",
                                           axis=1, **SHAPE),
    "Tensor::arange(start, stop, step)": Op("xp.arange(start, stop, step)", start=0.0, stop=1e6, step=1.0, word="10⁶"),
    "Tensor::arange(first, end, step)": Op("xp.arange(first, end, step)", first=0, end=1_000_000, step=1, word="10⁶"),
    "Tensor::linspace(start, stop, count)": Op("xp.linspace(start, stop, count)", start=0.0, stop=1.0, count=1_000_000),
    "Tensor::logspace(start, stop, count, base)": Op("xp.logspace(start, stop, count, base=base)", start=0.0, stop=2.0, count=1_000_000, base=10.0),
    "Tensor::geomspace(start, stop, count)": Op("xp.geomspace(start, stop, count)", start=1.0, stop=100.0, count=1_000_000),
    "Tensor::bartlett(n)": Op("xp.bartlett(n)", n=100_000),
    "Tensor::blackman(n)": Op("xp.blackman(n)", n=100_000),
    "Tensor::hamming(n)": Op("xp.hamming(n)", n=100_000),
    "Tensor::hanning(n)": Op("xp.hanning(n)", n=100_000),
    "Tensor::kaiser(n, beta)": Op("xp.kaiser(n, beta)", n=100_000, beta=14.0),
    "Tensor::from_fn(shape)": Not("calls a closure for each element"),
    "Tensor::from_vec(shape)": Not("takes over memory"),
    "Tensor::to_vec(x)": HOST,
    "Tensor::to_array(x)": HOST,
    "Tensor::into_array(x)": HOST,
    "Tensor::item(x)": HOST,
    # linalg
    "linalg::norm(x, which)": Op("xp.linalg.norm(x, which)", variants=[
        {"x": (1000, 1000), "which": "fro", "word": "Frobenius"}, {"x": (1000, 1000), "which": 1, "word": "1"},
        {"x": (300, 300), "which": "nuc", "word": "nuclear"}], tolerance=1e-3),
    "linalg::cond(a, which)": Op("xp.linalg.cond(a, which)", a=(200, 200), which=2, tolerance=1e-3),
    "linalg::matrix_rank(a)": Op("xp.linalg.matrix_rank(a)", a=(200, 200)),
    "linalg::pinv(a)": Op("xp.linalg.pinv(a)", tolerance=1e-3, **SLOW),
    "linalg::lstsq(a, b)": Op("xp.linalg.lstsq(a, b)[0]", a=(200, 200), tolerance=1e-3),
    "linalg::matrix_power(a, n)": Op("xp.linalg.matrix_power(a, n)", n=3, tolerance=1e-3),
    "linalg::multi_dot(xs)": Op("xp.linalg.multi_dot(xs)", xs=[(500, 100), (100, 500), (500, 50)], tolerance=1e-3),
    "linalg::expm(a)": Op("xl.expm(a)", tolerance=1e-3, **SLOW),
    "linalg::cho_solve(a, b)": Op("jax.scipy.linalg.cho_solve((a, True), b)", "sp.linalg.cho_solve((a, True), b)", variants=[
        {"a": (500, 500)}, {"a": (4, 4), "mapped": 10_000, "numpy": None}], tolerance=1e-3),
    "linalg::eigvalsh(a)": Op("xp.linalg.eigvalsh(a)", tolerance=1e-3),
    "linalg::polar(a)": Op("xl.polar(a)", a=(100, 100), tolerance=1e-3),
    "linalg::sqrtm_symmetric(a)": Op("h.of_eigenvalues(xp, xp.sqrt, a)", tolerance=1e-3, **SLOW),
    "linalg::symmetric_function(a)": Op("h.of_eigenvalues(xp, xp.sin, a)", tolerance=1e-3, **SLOW),
    "linalg::cross(x, y)": Op("xp.cross(x, y)", **FLOATS),
    "linalg::tensorsolve(a, b)": Op("xp.linalg.tensorsolve(a, b)", a=(200, 200)),
    "linalg::tensorinv(a, split)": Op("xp.linalg.tensorinv(a, ind=split)", a=(200, 200), split=1),
    "linalg::lu_solve(a, b)": Op("jax.scipy.linalg.lu_solve(jax.scipy.linalg.lu_factor(a), b)", "sp.linalg.lu_solve(sp.linalg.lu_factor(a), b)", variants=[
        {"a": (500, 500)}, {"a": (4, 4), "mapped": 10_000, "numpy": None}], tolerance=1e-3),
    "linalg::hilbert(n)": Op("xl.hilbert(n)", n=1000),
    "linalg::pascal(n)": Op("xl.pascal(n)", n=30, tolerance=1e-4),
    "linalg::hadamard(n)": Op("xl.hadamard(n)", n=1024),
    "linalg::helmert(n)": Op("xl.helmert(n, full=True)", n=500),
    "linalg::dft(n)": Op("xl.dft(n)", n=500),
    "linalg::circulant(x)": Op("xl.circulant(x)", x=(1000,)),
    "linalg::hankel(x, y)": Op("xl.hankel(x, y)", x=(1000,)),
    "linalg::convolution_matrix(x, n)": Op("xl.convolution_matrix(x, n)", x=(100,), n=1000),
    "linalg::companion(x)": Op("xl.companion(x)", x=(500,)),
    "linalg::leslie(x, y)": Op("xl.leslie(x, y)", x=(500,)),
    "linalg::fiedler(x)": Op("xl.fiedler(x)", x=(500,)),
    "linalg::eigh_tridiagonal(x, y)": Op("sp.linalg.eigh_tridiagonal(x, y)", x=(200,), numpy="sp.linalg.eigh_tridiagonal(x, y)", jax=None, **VALUES),
}

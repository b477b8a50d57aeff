//! The functions of `Tensor`.

use unloop::{DType, IndexArg, Tensor};

use super::{Function, carried, table};

/// Segments of entries: the even ones, and the odd ones.
fn halves(x: &Tensor) -> Tensor {
    Tensor::iota(DType::I32, x.shape().first().copied().unwrap_or(0), 0) % 2
}

pub fn functions() -> Vec<Function> {
    let mut all = elementwise();
    all.extend(rearranging());
    all.extend(reducing());
    all.extend(making());
    all.extend(matrices());
    all
}

fn elementwise() -> Vec<Function> {
    table! { "Tensor";
        [Elementwise Differentiable] (x: Numbers) { abs sign square }
        [Elementwise Differentiable] (x: Real) {
            sin cos tanh asinh atan sigmoid erf erfc exp exp2 expm1 sinh cosh bessel_i0e bessel_i1e
            bessel_i0 bessel_i1 bessel_i1_ratio cbrt floor ceil round round_away trunc tan
            relu gelu silu softplus log_sigmoid soft_sign relu6 hard_tanh hard_sigmoid hard_silu selu
            gelu_tanh mish sparse_plus sparse_sigmoid
            to_radians to_degrees sinc nan_to_num modf ndtr log_ndtr gamma_sign
        }
        [Elementwise Differentiable] (x: Positive) {
            sqrt rsqrt recip log ln log2 log10 lgamma digamma gamma factorial entr log1mexp
        }
        [Elementwise Differentiable] (x: AboveMinusOne) { log1p }
        [Elementwise Differentiable] (x: AboveOne) { acosh }
        [Elementwise Differentiable] (x: InsideOne) { asin acos atanh erf_inv }
        [Elementwise Differentiable] (x: Chance) { logit ndtri }
        [Elementwise] (x: Real) { is_finite is_nan is_infinite sign_bit }
        [Elementwise] (x: Bits) { logical_not }
        [Elementwise] (x: Whole) { count_ones leading_zeros }
        [Elementwise] (x: Anything) { zeros_like ones_like stop_gradient }

        [Elementwise Differentiable] (x: Numbers, y: Like) { maximum minimum }
        [Elementwise Differentiable] (x: Positive, y: LikePositive) {
            pow powf igamma igammac xlogy rel_entr kl_div betaln beta poch boxcox boxcox1p comb
        }
        [Elementwise Differentiable] (x: AboveMinusOne, y: Like) { xlog1py }
        [Elementwise Differentiable] (x: Real, y: Like) {
            atan2 hypot logaddexp logaddexp2 copy_sign fmax fmin heaviside
        }
        [Elementwise Differentiable] (x: Numbers, y: LikePositive) { floor_div modulo }
        [Elementwise] (x: Real, y: Like) { next_after }
        [Elementwise Differentiable] (x: Real, y: LikeWhole) { ldexp }
        [Elementwise] (x: Bits, y: Like) { logical_and logical_or logical_xor }
        [Elementwise] (x: Whole, y: Like) {
            shift_left shift_right shift_right_logical gcd lcm
        }
        [Elementwise] (x: Anything, y: Like) {
            equal not_equal less less_equal greater greater_equal
        }
        [Elementwise Differentiable] fn add(x: Numbers, y: Like) => x + y;
        [Elementwise Differentiable] fn sub(x: Numbers, y: Like) => x - y;
        [Elementwise Differentiable] fn mul(x: Numbers, y: Like) => x * y;
        [Elementwise Differentiable] fn div(x: Numbers, y: LikePositive) => x / y;
        [Elementwise Differentiable] fn rem(x: Numbers, y: LikePositive) => x % y;
        [Elementwise Differentiable] fn neg(x: Numbers) => -x;
        [Elementwise] fn bitand(x: Bits, y: Like) => x & y;
        [Elementwise] fn bitor(x: Bits, y: Like) => x | y;
        [Elementwise] fn bitxor(x: Bits, y: Like) => x ^ y;
        [Elementwise Differentiable Composed] fn polygamma(x: Positive, order: Size) => {
            let order = Tensor::full((), order as f64).cast(x.dtype());
            order.broadcast_to(x.shape()).polygamma(x)
        };
        // Differentiable in `x` alone, while all three may depend on one input.
        [Elementwise Composed] fn betainc(x: Chance, a: LikePositive, b: LikePositive) =>
            x.betainc(&a.stop_gradient(), &b.stop_gradient());
        [Elementwise Differentiable] fn select(x: Numbers, y: Like, on: Condition) => on.select(x, y);
        [Elementwise Differentiable Ties] (x: Numbers, low: Like, high: Above) { clamp }
        [Elementwise Differentiable] (x: Real, exponent: Power) { powi }
        [Elementwise Differentiable] (x: Real, slope: Number) { leaky_relu elu celu squareplus }
        [Elementwise Differentiable] (x: Real, decimals: Power) { round_to }
        [Elementwise Differentiable] (x: AboveOne, d: Size) { multigammaln }
        [Elementwise] (x: Real, y: Like, relative: Number, absolute: Number) { is_close }
        [Differentiable] (x: Anything, dtype: ADType) { cast }
        [] (x: Anything, dtype: ADType) { bitcast }
        [Differentiable Composed] fn broadcast(x: Numbers, y: Beside) => x.broadcast() + y;
    }
}

fn rearranging() -> Vec<Function> {
    table! { "Tensor";
        [Differentiable] (x: Anything, shape: Reshaped) { reshape }
        [Differentiable] (x: Anything) { flatten ravel }
        [Differentiable] (x: Matrix) { t }
        [Differentiable] (x: Matrices) { mt }
        [Differentiable] (x: Ranked, axes: Order) { permute }
        [Differentiable] (x: Ranked, a: Axis, b: Axis) { swap_axes move_axis }
        [Differentiable] (x: Anything, shape: Wider) { broadcast_to }
        [Differentiable Composed] fn broadcast_in_dim(x: Anything, shape: Wider, axes: Dimensions) => {
            let shift = shape.len().saturating_sub(x.rank());
            x.broadcast_in_dim(shape, axes.iter().map(|&a| a.saturating_add(shift)).collect())
        };
        [Differentiable] (x: Ranked, axis: Axis) { expand_dims unstack }
        [Differentiable] (x: Narrow, axis: Axis) { squeeze }
        [Differentiable] fn unstack_array(x: Ranked) => x.unstack_array::<2>();
        [Differentiable] (x: Ranked, start: Sizes, limit: Sizes, step: Sizes) { slice }
        [Differentiable] (x: Ranked, axis: Axis, start: Size, limit: Size) { slice_axis }
        [Differentiable] (x: Ranked, amounts: Amounts, fill: One) { pad }
        [Differentiable] (x: Ranked, pad: APad, fill: One) { pad_with }
        [Differentiable] (x: Ranked, amounts: Amounts, mode: APadMode) { pad_mode }
        [Differentiable] (x: Ranked, axes: Axes) { flip }
        [Differentiable] fn concatenate(xs: List, axis: Axis) => Tensor::concatenate(&xs, axis);
        [Differentiable] fn stack(xs: List, axis: Axis) => Tensor::stack(&xs, axis);
        [Differentiable] fn meshgrid(x: Vector, y: VectorSame) => Tensor::meshgrid(&[x, y]);
        [Differentiable] fn broadcast_all(x: Anything, y: Anything) => Tensor::broadcast_all(&[x, y]);
        [Differentiable] fn block_diag(xs: List) => Tensor::block_diag(&xs);
        [Differentiable] fn toeplitz(x: Vector, y: VectorSame) => Tensor::toeplitz(x, y);
        [Differentiable] (x: Ranked, shift: Offset, axis: Axis) { roll }
        [Differentiable] (x: Ranked, count: Size, axis: Axis) { repeat split }
        [Differentiable] (x: Anything, counts: Sizes) { tile }
        [Differentiable] (x: Matrices, k: Power) { rot90 }
        [Differentiable] (x: Ranked, positions: Sizes, axis: Axis) { split_at }
        [Differentiable] (x: Matrices, k: Offset) { tril triu diagonal }
        [Differentiable] (x: Vector, k: Offset) { diag }
        [Differentiable] (x: Matrices) { trace }
        [Differentiable] (x: Numbers, y: Like) { kron }
        [Differentiable] (x: VectorReal, count: Size) { vander }
        [Differentiable] (x: Ranked, index: Index) { at at_clipped }
        [Differentiable] (x: RankedNumbers, index: Index, fill: Number) { at_or }
        [Differentiable] fn set(x: RankedNumbers, index: Index, value: One) => x.set(index, value);
        [Differentiable] fn add_at(x: RankedNumbers, index: Index, value: One) => x.add_at(index, value);
        [Differentiable] fn mul_at(x: RankedNumbers, index: Index, value: One) => x.mul_at(index, value);
        [Differentiable] fn min_at(x: RankedNumbers, index: Index, value: One) => x.min_at(index, value);
        [Differentiable] fn max_at(x: RankedNumbers, index: Index, value: One) => x.max_at(index, value);
        [Differentiable] fn at(x: Ranked, i: Indices) => {
            let rest = (1..x.rank()).map(|_| IndexArg::from(..));
            x.at(std::iter::once(IndexArg::from(i)).chain(rest).collect::<Vec<_>>())
        };
        [Differentiable] fn dynamic_slice(x: Vector, start: Position, size: Size) =>
            x.dynamic_slice(&[start], &[size]);
        [Differentiable] fn dynamic_update_slice(x: Vector, y: VectorSame, start: Position) =>
            x.dynamic_update_slice(y, &[start]);
        [Differentiable] (x: Ranked, indices: Indices, axis: Axis) { take take_clipped }
        [Differentiable] (x: Ranked, indices: LikeIndex, axis: Axis) { take_along_axis }
        [Differentiable] (x: RankedNumbers, axis: Axis) { sort }
        [] (x: RankedNumbers, axis: Axis) { argsort }
        [Differentiable] (x: RankedNumbers, k: Size, axis: Axis) { top_k }
        [] fn sort_by(xs: List, keys: Size, axis: Axis, descending: Flag) =>
            Tensor::sort_by(&xs, keys, axis, descending);
        [] fn lexsort(xs: List, axis: Axis) => Tensor::lexsort(&xs, axis);
        [] (x: Sorted, values: SortedSame) { search_sorted search_sorted_right }
        [] (x: Counts, length: Size) { bincount }
        [Differentiable] fn bincount_weighted(weights: Real, x: LikeIndex, length: Size) =>
            x.bincount_weighted(weights, length);
        [Differentiable] fn segment_sum(x: Ranked, count: Size) => x.segment_sum(&halves(x), count);
        [Differentiable] fn segment_prod(x: RankedNumbers, count: Size) => x.segment_prod(&halves(x), count);
        [Differentiable] fn segment_max(x: RankedNumbers, count: Size) => x.segment_max(&halves(x), count);
        [Differentiable] fn segment_min(x: RankedNumbers, count: Size) => x.segment_min(&halves(x), count);
        [Differentiable] fn segment_mean(x: RankedReal, count: Size) => x.segment_mean(&halves(x), count);
        [Differentiable] fn segment_quantile(x: VectorReal, q: Part, count: Size) =>
            x.segment_quantile(&halves(x), q, count);
        [] (x: Real, edges: SortedSame) { histogram }
        [] (x: Counts, count: Size, dtype: ADType) { one_hot }
        [] (x: Numbers, size: Size) { unique }
        [] (x: Anything, size: Size) { nonzero }
        [] (x: Numbers, set: VectorSame) { is_in }
        [Differentiable] fn interp(xs: Sorted, ys: Like, x: VectorSame) => x.interp(xs, ys);
        [Differentiable] (x: VectorReal, y: VectorSame) { convolve correlate }
        [Differentiable] (x: RankedReal, axis: Axis) { unwrap_angles glu }
        [Differentiable] (x: Ranked, op: Reduction, windows: Windows) { reduce_window }
        [Differentiable Composed] fn select_and_scatter_add(x: RankedReal, op: Reduction, windows: Windows) =>
            x.reduce_window(op, windows).select_and_scatter_add(x, op, windows);
        [Differentiable] (x: Signal, kernel: Kernel, how: AConv) { conv }
    }
}

fn reducing() -> Vec<Function> {
    table! { "Tensor";
        [Differentiable] (x: Numbers) { sum prod max min }
        [Differentiable] (x: Real) {
            mean variance std norm safe_norm nansum nanprod nanmean nanmax nanmin nanvar nanstd
        }
        [] (x: Bits) { all any }
        [] (x: Numbers) { argmax argmin count_nonzero }
        [Differentiable] (x: RankedNumbers, axes: Axes) {
            sum_axis sum_keep prod_axis prod_keep max_axis max_keep min_axis min_keep
        }
        [Differentiable] (x: RankedReal, axes: Axes) {
            mean_axis mean_keep variance_axis variance_keep std_axis std_keep norm_axis norm_keep
            safe_norm_axis safe_norm_keep             logsumexp softmax log_softmax
        }
        [] (x: RankedBits, axes: Axes) { all_axis all_keep any_axis any_keep }
        [] (x: RankedNumbers, axis: Axis) {
            argmax_axis argmax_keep argmin_axis argmin_keep count_nonzero_axis
        }
        [Differentiable] fn reduce_op(x: Ranked, op: Reduction, axes: Dimensions) =>
            x.reduce_op(op, axes.iter().copied().collect());
        [Differentiable] (x: RankedNumbers, axis: Axis) { cumsum cumprod cummax cummin }
        [Differentiable] (x: RankedReal, axis: Axis) {
            cumlogsumexp nancumsum nancumprod nansum_axis nanprod_axis nanmean_axis nanmax_axis
            nanmin_axis nanvar_axis nanstd_axis logmeanexp peak_to_peak median nanmedian
        }
        [] (x: RankedReal, axis: Axis) { nanargmax_axis nanargmin_axis }
        [Differentiable] (x: Ranked, op: Reduction, axis: Axis, direction: ADirection) {
            cumulative_reduce
        }
        [Differentiable] (x: RankedReal, axis: Axis, direction: ADirection) { cumlogsumexp_from }
        [Differentiable] (x: RankedReal, axis: Axis, ddof: Size) { variance_ddof }
        [Differentiable] fn average(x: RankedReal, weights: Last, axis: Axis) =>
            x.average(axis, weights);
        [Differentiable] (x: RankedReal, q: Part, axis: Axis) { quantile nanquantile }
        [Differentiable] (x: MatrixReal) { covariance correlation }
        [Differentiable] (x: RankedNumbers, n: Size, axis: Axis) { diff }
        [Differentiable] (x: RankedReal, spacing: Number, axis: Axis) { slope trapezoid }
        [Differentiable] (x: RankedReal, axis: Axis, epsilon: Number) { standardize }
        [] (x: Anything, y: Like) { differs }
    }
}

fn making() -> Vec<Function> {
    table! { "Tensor";
        [] fn full(shape: Extent, value: Number) => Tensor::full(shape, value);
        [] fn full_of(shape: Extent, value: AScalar) => Tensor::full_of(shape, value);
        [] fn zeros(dtype: ADType, shape: Extent) => Tensor::zeros(dtype, shape);
        [] fn ones(dtype: ADType, shape: Extent) => Tensor::ones(dtype, shape);
        [] fn eye(dtype: ADType, n: Size) => Tensor::eye(dtype, n);
        [] fn iota(dtype: ADType, shape: Extent, axis: Size) => Tensor::iota(dtype, shape, axis);
        [] fn arange(start: Number, stop: Number, step: Number) => Tensor::arange(start, stop, step);
        [] fn arange(first: Offset, end: Offset, step: Offset) =>
            Tensor::arange(first, end, step);
        [] fn linspace(start: Number, stop: Number, count: Size) =>
            Tensor::linspace(start, stop, count);
        [] fn logspace(start: Number, stop: Number, count: Size, base: Number) =>
            Tensor::logspace(start, stop, count, base);
        [] fn geomspace(start: Number, stop: Number, count: Size) =>
            Tensor::geomspace(start, stop, count);
        [] fn from_fn(shape: Extent) => Tensor::from_fn(shape, |i| i.len() as f64);
        [] fn from_vec(shape: Reshaped) => Tensor::from_vec(shape, vec![1.0]);
        [] fn bartlett(n: Size) => Tensor::bartlett(n);
        [] fn blackman(n: Size) => Tensor::blackman(n);
        [] fn hamming(n: Size) => Tensor::hamming(n);
        [] fn hanning(n: Size) => Tensor::hanning(n);
        [] fn kaiser(n: Size, beta: Number) => Tensor::kaiser(n, beta);
        [Host] fn to_vec(x: Double) => carried(x.to_vec::<f64>());
        [Host] fn to_array(x: Double) => carried(x.to_array::<f64, ndarray::IxDyn>());
        [Host] fn into_array(x: DoubleMatrix) => carried(x.clone().into_array::<f64, ndarray::Ix2>());
        [Host] fn item(x: DoubleScalar) => carried(x.item::<f64>());
    }
}

fn matrices() -> Vec<Function> {
    table! { "Tensor";
        [Differentiable] (x: Matrices, y: Contracted) { matmul }
        [Differentiable] (x: Vector, y: Like) { dot }
        [Differentiable] (x: Vector, y: VectorSame) { outer }
        [Differentiable] (x: RankedNumbers, y: Like, axes: Axes, others: Axes) { tensordot }
        [Differentiable] (x: RankedNumbers, y: Like, dims: Dims) { dot_general }
        [Differentiable] fn einsum(x: Numbers, y: Like, formula: Formula) =>
            Tensor::einsum(formula, &[x, y]);
        [Differentiable] (a: Square, b: RightSide) { solve solve_lower solve_upper }
        [Differentiable] (a: Square, b: RightSide, how: Triangle) { triangular_solve }
        [Differentiable] (a: Square) { inv det slogdet }
        [Differentiable] (a: Definite) { cholesky try_cholesky eigh }
        [] (a: Definite) { is_positive_definite }
        [Differentiable] (a: MatrixReal) { qr singular_values }
        [Differentiable] fn lu(a: Square) => a.lu();
        [Differentiable] fn svd(a: MatrixReal) => a.svd();
        [Differentiable] fn attention(q: MatrixReal, k: Like, v: Like) => q.attention(k, v);
        [Differentiable] fn polynomial(p: VectorReal, at: VectorSame) => p.polynomial(at);
    }
}

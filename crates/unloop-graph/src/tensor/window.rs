//! Windows that slide over axes: reductions of each window (pooling) and convolutions. Composed of
//! one strided slice a position in the window, so every transform knows them: slices that are summed
//! where they lie, or laid out for a product of matrices.

use smallvec::SmallVec;

use crate::error::Place;
use crate::memory::Charge;
use crate::op::{Pad, PadAxis, Slice};
use crate::{DType, DotDims, ErrorKind, Op, ReduceOp, Shape, Tensor};

/// How a window walks along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WindowAxis {
    /// Elements of the window.
    pub size: usize,
    /// Distance of neighbouring windows.
    pub stride: usize,
    /// Elements added before and after the axis; negative ones cut off.
    pub padding: (i64, i64),
    /// Distance of the axis's elements once spread out; 1 leaves them side by side.
    pub base_dilation: usize,
    /// Distance of neighbours inside of a window.
    pub window_dilation: usize,
}

impl WindowAxis {
    /// A window of some size that takes one step at a time and stays inside.
    ///
    /// ```
    /// # use unloop_graph::WindowAxis;
    /// let window = WindowAxis::new(3).stride(2).padding(1, 1);
    /// assert_eq!((window.size, window.stride, window.padding), (3, 2, (1, 1)));
    /// ```
    pub fn new(size: usize) -> WindowAxis {
        WindowAxis { size, stride: 1, padding: (0, 0), base_dilation: 1, window_dilation: 1 }
    }

    /// A window that is not larger than an element. In a [`Conv`], whose sizes are the kernel's, the
    /// one to begin with.
    pub fn one() -> WindowAxis {
        WindowAxis::new(1)
    }

    /// The same window with another distance of neighbouring windows, at least 1.
    pub fn stride(self, stride: usize) -> WindowAxis {
        WindowAxis { stride, ..self }
    }

    /// The same window with `low` elements added before the axis and `high` after; negative amounts cut
    /// off.
    pub fn padding(self, low: i64, high: i64) -> WindowAxis {
        WindowAxis { padding: (low, high), ..self }
    }

    /// The positions of windows along an axis that has been padded to some extent.
    fn count(&self, extent: usize) -> usize {
        // A window that reaches further than any axis has no position.
        let steps = self.size.saturating_sub(1);
        let reach = self.window_dilation.saturating_mul(steps).saturating_add(1);
        match self.size {
            0 => extent / self.stride + 1,
            _ if extent < reach => 0,
            _ => (extent - reach) / self.stride + 1,
        }
    }
}

/// The parameters of a [`Tensor::conv`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conv {
    /// One entry a spatial axis; sizes are the kernel's.
    pub windows: Vec<WindowAxis>,
    /// Into how many groups channels are divided; each sees its own part of the kernel only.
    pub groups: usize,
}

fn invalid(op: &'static str, message: String, place: Place, like: &Tensor) -> Tensor {
    Tensor::fail(op, ErrorKind::InvalidArgument(message), place, like)
}

/// Positions inside of a window up to which the elements at each are an operand of their own.
const LISTED: usize = 256;

/// Elements of a patch up to which they are summed where they lie, if each is multiplied by one number.
const DIRECT: usize = 64;

/// Whether there are few positions inside of a window.
fn is_small(windows: &[WindowAxis]) -> bool {
    let positions = windows.iter().try_fold(1usize, |n, w| n.checked_mul(w.size));
    windows.iter().any(|w| w.size == 0) || positions.is_some_and(|n| n <= LISTED)
}

/// Every position inside of a window, in row-major order.
fn positions(windows: &[WindowAxis]) -> Vec<SmallVec<[usize; 6]>> {
    let mut all = Vec::new();
    let shape: Shape = windows.iter().map(|w| w.size).collect();
    shape.for_each_index(|i| all.push(i.into()));
    all
}

impl Tensor {
    /// The elements that stand at one position of all windows; `self` is padded already.
    #[track_caller]
    fn at_window_position(&self, windows: &[WindowAxis], position: &[usize]) -> Tensor {
        let (mut start, mut limit, mut step) = (Shape::scalar(), Shape::scalar(), Shape::scalar());
        for ((w, &p), &extent) in windows.iter().zip(position).zip(self.shape()) {
            let first = p.saturating_mul(w.window_dilation);
            let count = w.count(extent);
            start.push(first.min(extent));
            limit.push(if count == 0 {
                first.min(extent)
            } else {
                first + (count - 1) * w.stride + 1
            });
            step.push(w.stride);
        }
        Tensor::apply1(Op::Slice(Slice::new(&start, &limit, &step)), &[self])
    }

    /// Reduces tensors of one shape, padded already, over the windows along one axis. `combine` takes
    /// what has been reduced so far, and what comes behind it. Windows grow by doubling, so that there
    /// are as many operations as a window's size has digits.
    #[track_caller]
    fn fold_windows(
        tensors: &[Tensor],
        axis: usize,
        w: &WindowAxis,
        combine: &impl Fn(&[Tensor], &[Tensor]) -> Vec<Tensor>,
    ) -> Vec<Tensor> {
        // Windows of `left` elements joined to those of `right` that begin behind them.
        let join = |left: &[Tensor], size: usize, right: &[Tensor]| {
            let by = size * w.window_dilation;
            let count = right[0].shape()[axis] - by;
            let part = |x: &Tensor, from: usize| x.slice_axis(axis as isize, from, from + count);
            let (first, second): (Vec<Tensor>, Vec<Tensor>) =
                left.iter().zip(right).map(|(a, b)| (part(a, 0), part(b, by))).unzip();
            combine(&first, &second)
        };
        let mut doubled = tensors.to_vec();
        let mut all: Option<(Vec<Tensor>, usize)> = None;
        let (mut size, mut rest) = (1, w.size);
        loop {
            if rest % 2 == 1 {
                all = Some(match all {
                    None => (doubled.clone(), size),
                    Some((left, done)) => (join(&left, done, &doubled), done + size),
                });
            }
            rest /= 2;
            if rest == 0 {
                break;
            }
            doubled = join(&doubled, size, &doubled);
            size *= 2;
        }
        let all = all.map_or_else(Vec::new, |(all, _)| all);
        let each = |x: &Tensor| {
            let (mut to, mut by) = (Shape::from(x.shape()), vec![1; x.rank()]);
            to[axis] = (w.count(tensors[0].shape()[axis]) - 1) * w.stride + 1;
            by[axis] = w.stride;
            x.slice(&vec![0; x.rank()], &to, &by)
        };
        all.iter().map(each).collect()
    }

    /// Pads and spreads out as windows say.
    #[track_caller]
    fn padded_for_windows(&self, windows: &[WindowAxis], fill: &Tensor) -> Tensor {
        let axis = |w: &WindowAxis| PadAxis {
            low: w.padding.0,
            high: w.padding.1,
            interior: w.base_dilation - 1,
        };
        let pad = Pad(windows.iter().map(axis).collect());
        if pad.0.iter().all(|p| *p == PadAxis::default()) {
            return self.clone();
        }
        self.pad_with(pad, fill)
    }

    fn check_windows(
        &self,
        op: &'static str,
        windows: &[WindowAxis],
        place: Place,
    ) -> Option<Tensor> {
        if self.as_error().is_some() {
            return Some(self.clone());
        }
        if windows.len() != self.rank() {
            let message = format!("{} windows for shape {}", windows.len(), self.ty().shape);
            return Some(invalid(op, message, place, self));
        }
        let zero =
            |w: &&WindowAxis| w.stride == 0 || w.base_dilation == 0 || w.window_dilation == 0;
        windows.iter().find(zero).map(|w| {
            invalid(op, format!("strides and dilations are at least 1, got {w:?}"), place, self)
        })
    }
}

/// # Sliding windows and convolution
impl Tensor {
    /// Reduces every position of a window that slides over all axes; one [`WindowAxis`] an axis.
    /// Padding is what changes nothing: 0 for sums, -∞ for the maximum. The result has one element a
    /// position, of the same dtype.
    ///
    /// ```
    /// # use unloop_graph::{ReduceOp, Tensor, WindowAxis};
    /// let x = Tensor::from([1.0, 5.0, 2.0, 4.0]);
    /// let pooled = x.reduce_window(ReduceOp::Max, &[WindowAxis::new(2).stride(2)]);
    /// assert_eq!(pooled.to_vec::<f64>()?, [5.0, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one window an axis, strides and dilations are at
    /// least 1, and no more is cut off than there is; `UnsupportedDType` of bool for sums and products,
    /// of floats for and, or and xor.
    #[track_caller]
    pub fn reduce_window(&self, op: ReduceOp, windows: &[WindowAxis]) -> Tensor {
        let place = Place::of("reduce_window");
        if let Some(error) = self.check_windows("reduce_window", windows, place) {
            return error;
        }
        place.scope(|| {
            let fill = Tensor::full_of((), op.identity(self.dtype()));
            let padded = self.padded_for_windows(windows, &fill);
            if padded.as_error().is_some() {
                return padded;
            }
            let counts = windows.iter().zip(padded.shape()).map(|(w, &d)| w.count(d));
            let counts: Shape = counts.collect();
            if counts.contains(&0) {
                return Tensor::full_of(counts, op.identity(self.dtype()));
            }
            if !is_small(windows) {
                let combine = |a: &[Tensor], b: &[Tensor]| {
                    vec![Tensor::apply1(Op::Binary(op.binary()), &[&a[0], &b[0]])]
                };
                let fold = |x: Vec<Tensor>, (axis, w): (usize, &WindowAxis)| {
                    Tensor::fold_windows(&x, axis, w, &combine)
                };
                let folded = windows.iter().enumerate().rev().fold(vec![padded], fold);
                return folded.into_iter().next().unwrap_or_else(|| self.clone());
            }
            let mut parts: Vec<Tensor> = positions(windows)
                .iter()
                .map(|position| padded.at_window_position(windows, position))
                .collect();
            // Neighbours first: the rounding of sums stays small.
            while parts.len() > 1 {
                let combined = parts.chunks(2).map(|pair| match pair {
                    [a, b] => Tensor::apply1(Op::Binary(op.binary()), &[a, b]),
                    rest => rest[0].clone(),
                });
                parts = combined.collect();
            }
            parts.pop().unwrap_or_else(|| Tensor::full_of(counts, op.identity(self.dtype())))
        })
    }

    /// Adds each value of `self`, one a window, to the element of that window of `operand` which `op`
    /// (a maximum or minimum; of equal elements the first) chooses; the result has the shape of
    /// `operand`. This is the derivative of pooling backwards.
    ///
    /// ```
    /// # use unloop_graph::{ReduceOp, Tensor, WindowAxis};
    /// let x = Tensor::from([1.0, 5.0, 2.0, 4.0]);
    /// let slope = Tensor::from([10.0, 20.0]);
    /// let windows = [WindowAxis::new(2).stride(2)];
    /// let y = slope.select_and_scatter_add(&x, ReduceOp::Max, &windows);
    /// assert_eq!(y.to_vec::<f64>()?, [0.0, 10.0, 0.0, 20.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `InvalidArgument` unless there is one window an axis, strides and dilations are at
    /// least 1, and no more is cut off than there is, and `op` is a maximum or a minimum;
    /// `ShapeMismatch` unless there is one value a window; `DTypeMismatch` if the dtypes differ.
    #[track_caller]
    pub fn select_and_scatter_add(
        &self,
        operand: &Tensor,
        op: ReduceOp,
        windows: &[WindowAxis],
    ) -> Tensor {
        let place = Place::of("select_and_scatter_add");
        if let Some(error) = operand.check_windows("select_and_scatter_add", windows, place) {
            return error;
        }
        if !matches!(op, ReduceOp::Max | ReduceOp::Min) {
            let message = format!("a maximum or a minimum chooses an element, not {}", op.name());
            return invalid("select_and_scatter_add", message, place, operand);
        }
        place.scope(|| {
            let fill = Tensor::full_of((), op.identity(operand.dtype()));
            let padded = operand.padded_for_windows(windows, &fill);
            let best = operand.reduce_window(op, windows);
            if let Some(error) = [&best, self].into_iter().find(|t| t.as_error().is_some()) {
                return error.clone();
            }
            if best.shape() != self.shape() {
                let (left, right) = (self.ty().shape, best.ty().shape);
                let kind = ErrorKind::ShapeMismatch { left, right };
                return Tensor::fail("select_and_scatter_add", kind, place, operand);
            }
            let mut taken = self.zeros_like().cast(DType::Bool);
            let mut total = padded.zeros_like();
            let is_large = !is_small(windows);
            if is_large && best.size() > 0 {
                total = self.scatter_to_chosen(&padded, &best, op, windows);
            }
            let is_listed = !is_large && best.size() > 0;
            let listed = if is_listed { positions(windows) } else { Vec::new() };
            for position in listed {
                let here = padded.at_window_position(windows, &position);
                let chosen = here.equal(&best) & !&taken;
                taken = &taken | &chosen;
                let values = chosen.select(self, &self.zeros_like());
                let pad = windows.iter().zip(&position).zip(padded.shape()).zip(self.shape());
                let pad = pad.map(|(((w, &p), &extent), &count)| {
                    let low = (p * w.window_dilation) as i64;
                    let interior = w.stride - 1;
                    let used = if count == 0 { 0 } else { (count - 1) * w.stride + 1 };
                    PadAxis { low, high: extent as i64 - low - used as i64, interior }
                });
                let values = values.pad_zeros(Pad(pad.collect()));
                total = match total.dtype() {
                    DType::Bool => &total | &values,
                    _ => total + values,
                };
            }
            // Take the padding off again, and what stands between the elements.
            let back = windows.iter().map(|w| PadAxis {
                low: w.padding.0.saturating_neg(),
                high: w.padding.1.saturating_neg(),
                interior: 0,
            });
            let spread = total.pad_zeros(Pad(back.collect()));
            let steps: Vec<usize> = windows.iter().map(|w| w.base_dilation).collect();
            spread.slice(&vec![0; steps.len()], &Shape::from(spread.shape()), &steps)
        })
    }

    /// Adds each value of `self` to the first element of its window that is the `best`.
    #[track_caller]
    fn scatter_to_chosen(
        &self,
        padded: &Tensor,
        best: &Tensor,
        op: ReduceOp,
        windows: &[WindowAxis],
    ) -> Tensor {
        let shape = Shape::from(padded.shape());
        let number = Tensor::iota(DType::I64, padded.size(), 0).reshape(&shape);
        let is_better = |a: &Tensor, b: &Tensor| match op {
            ReduceOp::Min => b.less(a),
            _ => b.greater(a),
        };
        let combine = |a: &[Tensor], b: &[Tensor]| {
            let better = is_better(&a[0], &b[0]);
            (a.iter().zip(b)).map(|(a, b)| better.select(b, a)).collect::<Vec<Tensor>>()
        };
        let fold = |x: Vec<Tensor>, (axis, w): (usize, &WindowAxis)| {
            Tensor::fold_windows(&x, axis, w, &combine)
        };
        let start = vec![padded.clone(), number];
        let folded = windows.iter().enumerate().rev().fold(start, fold);
        // Nothing is equal to what is not a number.
        let values = folded[0].equal(best).select(self, &self.zeros_like());
        let is_bool = self.dtype() == DType::Bool;
        let values = if is_bool { values.cast(DType::I32) } else { values };
        let total = Tensor::zeros(values.dtype(), padded.size());
        let total = total.add_at((&folded[1].flatten(),), &values.flatten());
        total.cast(self.dtype()).reshape(&shape)
    }

    /// Convolution (as in neural networks: the kernel is not reversed) of `self`, shape `[examples,
    /// channels, spatial…]`, with `kernel`, shape `[features, channels / groups, spatial…]`: shape
    /// `[examples, features, spatial…]`. Of integers or floats.
    ///
    /// ```
    /// # use unloop_graph::{Conv, Tensor, WindowAxis};
    /// let x = Tensor::from([[[1.0, 2.0, 4.0, 8.0]]]);
    /// let difference = Tensor::from([[[-1.0, 1.0]]]);
    /// let y = x.conv(&difference, &Conv { windows: vec![WindowAxis::one()], groups: 1 });
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 2.0, 4.0]);
    /// # Ok::<(), unloop_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// Carried: `Incompatible` for shapes that do not fit each other, or the spatial axes and groups of
    /// `how`; `InvalidArgument` unless strides and dilations are at least 1, and no more is cut off
    /// than there is; `DTypeMismatch` if the dtypes differ; `UnsupportedDType` of bool; `OutOfMemory`
    /// for more patches than there is room for.
    #[track_caller]
    pub fn conv(&self, kernel: &Tensor, how: &Conv) -> Tensor {
        let place = Place::of("conv");
        if let Some(error) = [self, kernel].into_iter().find(|t| t.as_error().is_some()) {
            return error.clone();
        }
        let spatial = how.windows.len();
        let (x, w) = (self.ty().shape, kernel.ty().shape);
        let groups = how.groups;
        let fits = x.rank() == spatial + 2
            && w.rank() == spatial + 2
            && groups > 0
            && Some(x[1]) == w[1].checked_mul(groups)
            && w[0].is_multiple_of(groups);
        if !fits {
            let why = format!(
                "a convolution over {spatial} axes in {groups} groups takes [examples, channels, \
                 spatial…] and [features, channels / groups, spatial…]"
            );
            let kind = ErrorKind::Incompatible { left: x, right: w, why };
            return Tensor::fail("conv", kind, place, self);
        }
        let mut windows = vec![WindowAxis::one(); 2];
        windows.extend(
            how.windows.iter().zip(&w[2..]).map(|(axis, &size)| WindowAxis { size, ..*axis }),
        );
        if let Some(error) = self.check_windows("conv", &windows, place) {
            return error;
        }
        place.scope(|| {
            let padded = self.padded_for_windows(&windows, &Tensor::full_of((), zero(self)));
            if padded.as_error().is_some() {
                return padded;
            }
            let counts: Shape =
                windows.iter().zip(padded.shape()).map(|(w, &d)| w.count(d)).collect();
            let (examples, channels, features) = (x[0], w[1], w[0]);
            let all = Shape::from(&w[2..]).concat(&counts);
            let counts = &counts[2..];
            if all.contains(&0) {
                // Sums of nothing, or none.
                return Tensor::full_of(
                    Shape::from([examples, features]).concat(counts),
                    zero(self),
                );
            }
            let taps: usize = w[2..].iter().product();
            if features == groups && channels * taps <= DIRECT && self.dtype() == kernel.dtype() {
                return padded.conv_of_one_feature(kernel, &windows);
            }
            // There is room for the patches before each of them is a tensor.
            let bytes = all.checked_size(self.dtype()).map(|size| size * self.dtype().size());
            if let Err(kind) = bytes.and_then(Charge::new) {
                return Tensor::fail("conv", kind, place, self);
            }
            let parts: Vec<Tensor> = positions(&windows)
                .iter()
                .map(|p| padded.at_window_position(&windows, p))
                .collect();
            // One matrix an example and group: those of its rows that an entry of the kernel meets.
            let patches = Tensor::stack(&parts.iter().collect::<Vec<_>>(), 2);
            let positions: usize = counts.iter().product();
            let patches = patches.reshape([examples, groups, channels * taps, positions]);
            let kernel = kernel.reshape([groups, features / groups, channels * taps]);
            let kernel = kernel.broadcast_in_dim(
                [examples, groups, features / groups, channels * taps],
                [1, 2, 3].into_iter().collect(),
            );
            let dims = DotDims {
                lhs_batch: [0, 1].into_iter().collect(),
                rhs_batch: [0, 1].into_iter().collect(),
                lhs_contract: [3].into_iter().collect(),
                rhs_contract: [2].into_iter().collect(),
            };
            let product = kernel.dot_general(&patches, dims);
            product.reshape(Shape::from([examples, features]).concat(counts))
        })
    }

    /// The convolution of what has been padded, where each group of channels has one feature: every
    /// element of a patch is read once, so none is written.
    #[track_caller]
    fn conv_of_one_feature(&self, kernel: &Tensor, windows: &[WindowAxis]) -> Tensor {
        let shape = kernel.ty().shape;
        let (groups, channels) = (shape[0], shape[1]);
        // The channels of a group are taps along another axis.
        let mut windows = windows.to_vec();
        windows[1] = WindowAxis::new(channels).stride(channels);
        let all = positions(&windows);
        let kernel = kernel.reshape([groups, all.len()]);
        let term = |(i, position): (usize, &SmallVec<[usize; 6]>)| {
            let x = self.at_window_position(&windows, position);
            let weight = kernel.slice_axis(1, i, i + 1).reshape([groups]);
            x.clone() * weight.broadcast_in_dim(x.shape(), [1].into_iter().collect())
        };
        let sum = all.iter().enumerate().map(term).reduce(|sum, term| sum + term);
        sum.unwrap_or_else(|| self.clone())
    }
}

fn zero(like: &Tensor) -> crate::Scalar {
    ReduceOp::Sum.identity(like.dtype())
}

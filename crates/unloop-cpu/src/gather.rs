//! Gather and scatter: windows at computed positions, copied or combined in place.

use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;
use unloop_graph::op::{Gather, IndexMode, Scatter, ScatterOp};
use unloop_graph::{Axes, DType, ErrorKind, Shape, TensorType, cancel};

use crate::memory::{Addresses, SharedPtr};
use crate::parallel::for_ranges;
use crate::simd::{Mode, Simd, TileFn, gather_run, scatter_run};
use crate::space::Rows;

/// Windows of an operand, one an index vector.
struct Windows {
    /// The index vectors: streams are the indices, the operand and the result (or updates).
    vectors: Rows,
    /// The rows of a window: streams are the operand and the result (or updates).
    rows: Rows,
    /// A row: its length, and the distance of neighbours in both.
    length: usize,
    steps: [isize; 2],
    /// For each component of an index vector.
    components: SmallVec<[Component; 3]>,
    index_dtype: DType,
    mode: IndexMode,
    dtype: DType,
}

struct Component {
    /// Axis of the operand, its extent and stride.
    axis: usize,
    size: usize,
    stride: isize,
    /// The last position at which a window starts.
    last: i64,
}

/// What gather and scatter have in common: the parameters by role.
struct Roles<'a> {
    /// Axes of the operand that run over a window, and of the result (or updates).
    window: (Axes, &'a [usize]),
    sizes: &'a [usize],
    map: &'a [usize],
    /// Axes of operand and indices that are walked together.
    batching: (&'a [usize], &'a [usize]),
    mode: IndexMode,
}

impl Windows {
    fn new(roles: &Roles<'_>, x: &TensorType, indices: &TensorType, y: &Shape) -> Windows {
        let x_strides = x.shape.strides();
        let y_strides = y.strides();
        let i_strides = indices.shape.strides();
        let batch: Axes = (0..y.rank()).filter(|a| !roles.window.1.contains(a)).collect();
        let vectors = batch.iter().enumerate().map(|(i, &y_axis)| {
            let shared = roles.batching.1.iter().position(|&a| a == i);
            let x_stride = shared.map_or(0, |p| x_strides[roles.batching.0[p]]);
            SmallVec::from_slice(&[i_strides[i], x_stride, y_strides[y_axis]])
        });
        let mut window: Vec<(usize, [isize; 2])> = (roles.window.0.iter())
            .zip(roles.window.1)
            .map(|(&a, &b)| (roles.sizes[a], [x_strides[a], y_strides[b]]))
            .filter(|(extent, _)| *extent != 1)
            .collect();
        // Axes that both sides walk as one become one, the innermost is the row.
        let mut i = window.len();
        while i > 1 {
            i -= 1;
            let (extent, steps) = window[i];
            let walks = steps.map(|s| s * extent as isize);
            if window[i - 1].1 == walks {
                window[i - 1] = (window[i - 1].0 * extent, steps);
                window.remove(i);
            }
        }
        let (length, steps) = window.pop().unwrap_or((1, [1, 1]));
        let component = |&axis: &usize| Component {
            axis,
            size: x.shape[axis],
            stride: x_strides[axis],
            last: x.shape[axis] as i64 - roles.sizes[axis] as i64,
        };
        Windows {
            vectors: Rows::new(
                batch.iter().map(|&a| y[a]).collect(),
                vectors.collect(),
                SmallVec::from_slice(&[0, 0, 0]),
            ),
            rows: Rows::new(
                window.iter().map(|w| w.0).collect(),
                window.iter().map(|w| SmallVec::from_slice(&w.1)).collect(),
                SmallVec::from_slice(&[0, 0]),
            ),
            length,
            steps,
            components: roles.map.iter().map(component).collect(),
            index_dtype: indices.dtype,
            mode: roles.mode,
            dtype: x.dtype,
        }
    }

    /// Elements of a window.
    fn window_size(&self) -> usize {
        self.rows.count() * self.length
    }

    /// How far the window of an index vector starts from the operand's start; `None` drops it.
    ///
    /// # Safety
    /// The components of the index vector are readable.
    unsafe fn start(&self, indices: *const u8) -> Result<Option<isize>, ErrorKind> {
        let mut start = 0;
        for (i, component) in self.components.iter().enumerate() {
            // SAFETY: the caller makes the components readable.
            let index = unsafe {
                match self.index_dtype {
                    DType::I32 => i64::from(indices.cast::<i32>().add(i).read()),
                    DType::U32 => i64::from(indices.cast::<u32>().add(i).read()),
                    DType::I64 => indices.cast::<i64>().add(i).read(),
                    other => unreachable!("indices are integers, not {other}"),
                }
            };
            let position = match self.mode {
                _ if (0..=component.last).contains(&index) => index,
                IndexMode::Clip => index.clamp(0, component.last.max(0)),
                IndexMode::Fill(_) => return Ok(None),
                IndexMode::Error => {
                    let Component { axis, size, .. } = *component;
                    return Err(ErrorKind::IndexOutOfBounds { index, axis, size });
                }
            };
            start += position as isize * component.stride;
        }
        Ok(Some(start))
    }

    /// Runs `f` with the addresses of each row of a window in the operand and the other side.
    fn for_each_row(&self, x: *mut u8, y: *mut u8, mut f: impl FnMut(*mut u8, *mut u8)) {
        let size = self.dtype.size() as isize;
        let mut cursor = self.rows.at(0);
        for _ in 0..self.rows.count() {
            let at = |base: *mut u8, i: usize| base.wrapping_offset(cursor.offsets[i] * size);
            f(at(x, 0), at(y, 1));
            cursor.advance();
        }
    }

    /// Copies a row; both ends may be strided.
    ///
    /// # Safety
    /// The elements of both rows are valid, and they do not overlap.
    unsafe fn copy_row(&self, from: (*const u8, isize), to: (*mut u8, isize)) {
        let (n, dtype) = (self.length, self.dtype);
        // SAFETY: as the caller's.
        unsafe {
            match (from.1, to.1) {
                (1, 1) => std::ptr::copy_nonoverlapping(from.0, to.0, n * dtype.size()),
                (_, 1) => gather_run(to.0, from.0, from.1, n, dtype),
                (1, _) => scatter_run(to.0, to.1, from.0, n, dtype),
                (a, b) => {
                    let size = dtype.size();
                    for i in 0..n as isize {
                        let from = from.0.wrapping_offset(i * a * size as isize);
                        let to = to.0.wrapping_offset(i * b * size as isize);
                        std::ptr::copy_nonoverlapping(from, to, size);
                    }
                }
            }
        }
    }
}

/// A gather, ready to run.
pub(crate) struct GatherStep {
    windows: Windows,
    sources: [usize; 2],
    target: usize,
}

/// Predicted nanoseconds of a window, and of one of its elements.
const WINDOW_NS: f64 = 8.0;
const ELEMENT_NS: f64 = 0.5;

impl GatherStep {
    /// Compiles a gather of an operand and indices, with their buffers.
    pub fn compile(
        gather: &Gather,
        x: (usize, &TensorType),
        indices: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> GatherStep {
        let d = &gather.dims;
        let roles = Roles {
            window: (gather.window_axes(x.1.rank()), &d.offset_dims),
            sizes: &gather.slice_sizes,
            map: &d.start_index_map,
            batching: (&d.operand_batching_dims, &d.start_indices_batching_dims),
            mode: gather.mode,
        };
        let windows = Windows::new(&roles, x.1, indices.1, &y.1.shape);
        GatherStep { windows, sources: [x.0, indices.0], target: y.0 }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let w = &self.windows;
        let [x, indices] = self.sources.map(|s| SharedPtr(memory.of(s)));
        let y = SharedPtr(memory.of(self.target));
        let (size, index_size) = (w.dtype.size() as isize, w.index_dtype.size() as isize);
        let fill_value = match w.mode {
            IndexMode::Fill(value) => value.bits(),
            IndexMode::Error | IndexMode::Clip => 0,
        };
        let fill_value = fill_value.to_le_bytes();
        // The first failure counts, whichever thread finds it.
        let failure: Mutex<Option<(usize, ErrorKind)>> = Mutex::new(None);
        if w.window_size() == 0 {
            return Ok(());
        }
        let count = w.vectors.count();
        let ns = count as f64 * (WINDOW_NS + ELEMENT_NS * w.window_size() as f64);
        for_ranges(count, ns, |range| {
            let mut cursor = w.vectors.at(range.start);
            for vector in range {
                let at = |base: SharedPtr, i: usize, size: isize| {
                    base.get().wrapping_offset(cursor.offsets[i] * size)
                };
                let (x, y) = (at(x, 1, size), at(y, 2, size));
                // SAFETY: windows that start in bounds lie in the operand, and each one's part of
                // the result is its own.
                unsafe {
                    match w.start(at(indices, 0, index_size)) {
                        Ok(Some(start)) => {
                            w.for_each_row(x.wrapping_offset(start * size), y, |x, y| {
                                w.copy_row((x, w.steps[0]), (y, w.steps[1]));
                            });
                        }
                        Ok(None) => w.for_each_row(x, y, |_, y| {
                            w.copy_row((fill_value.as_ptr(), 0), (y, w.steps[1]));
                        }),
                        Err(kind) => {
                            let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                            if first.as_ref().is_none_or(|f| vector < f.0) {
                                *first = Some((vector, kind));
                            }
                            return Ok(());
                        }
                    }
                }
                cursor.advance();
            }
            Ok(())
        })?;
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), |(_, kind)| Err(kind))
    }
}

/// Windows that are scattered before somebody is asked whether that is still wanted.
const WINDOWS: usize = 4096;

/// A scatter, ready to run. One thread, as windows may overlap.
pub(crate) struct ScatterStep {
    windows: Windows,
    /// What combines old elements and updates; `None` replaces.
    combine: Option<TileFn>,
    bytes: usize,
    sources: [usize; 3],
    target: usize,
}

impl ScatterStep {
    /// Compiles a scatter of an operand, indices and updates, with their buffers.
    pub fn compile(
        scatter: &Scatter,
        simd: Simd,
        x: (usize, &TensorType),
        indices: (usize, &TensorType),
        updates: (usize, &TensorType),
        y: (usize, &TensorType),
    ) -> ScatterStep {
        let d = &scatter.dims;
        let sizes = scatter.window_sizes(x.1.rank(), &updates.1.shape);
        let roles = Roles {
            window: (scatter.window_axes(x.1.rank()), &d.update_window_dims),
            sizes: &sizes,
            map: &d.scatter_dims_to_operand_dims,
            batching: (&d.operand_batching_dims, &d.scatter_indices_batching_dims),
            mode: scatter.mode,
        };
        let combine = match scatter.op {
            ScatterOp::Set => None,
            ScatterOp::Add => Some(unloop_graph::BinaryOp::Add),
            ScatterOp::Mul => Some(unloop_graph::BinaryOp::Mul),
            ScatterOp::Min => Some(unloop_graph::BinaryOp::Min),
            ScatterOp::Max => Some(unloop_graph::BinaryOp::Max),
        };
        ScatterStep {
            windows: Windows::new(&roles, x.1, indices.1, &updates.1.shape),
            combine: combine.and_then(|op| simd.binary(op, x.1.dtype, Mode::VectorVector)),
            bytes: x.1.bytes(),
            sources: [x.0, indices.0, updates.0],
            target: y.0,
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the target is disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        let w = &self.windows;
        let [x, indices, updates] = self.sources.map(|s| memory.of(s));
        let y = memory.of(self.target);
        // SAFETY: operand and result have this size.
        unsafe { std::ptr::copy_nonoverlapping(x, y, self.bytes) };
        if w.window_size() == 0 {
            return Ok(());
        }
        let (size, index_size) = (w.dtype.size() as isize, w.index_dtype.size() as isize);
        let mut cursor = w.vectors.at(0);
        for vector in 0..w.vectors.count() {
            if vector % WINDOWS == 0 {
                cancel::check()?;
            }
            let at = |base: *mut u8, i: usize, size: isize| {
                base.wrapping_offset(cursor.offsets[i] * size)
            };
            // SAFETY: windows that start in bounds lie in the result.
            unsafe {
                if let Some(start) = w.start(at(indices, 0, index_size))? {
                    let y = at(y, 1, size).wrapping_offset(start * size);
                    w.for_each_row(y, at(updates, 2, size), |y, update| self.row(y, update));
                }
            }
            cursor.advance();
        }
        Ok(())
    }

    /// # Safety
    /// The elements of both rows are valid, and they do not overlap.
    unsafe fn row(&self, y: *mut u8, update: *const u8) {
        let w = &self.windows;
        // SAFETY: as the caller's.
        unsafe {
            let Some(combine) = self.combine else {
                return w.copy_row((update, w.steps[1]), (y, w.steps[0]));
            };
            if w.steps == [1, 1] && w.length > 1 {
                return combine(y, y, update, update, w.length);
            }
            let size = w.dtype.size() as isize;
            for i in 0..w.length as isize {
                let y = y.wrapping_offset(i * w.steps[0] * size);
                let update = update.wrapping_offset(i * w.steps[1] * size);
                combine(y, y, update, update, 1);
            }
        }
    }
}

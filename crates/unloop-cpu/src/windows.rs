//! Windows of an operand at computed positions, walked tile by tile: what gather and scatter have in
//! common.

use smallvec::SmallVec;
use unloop_graph::op::IndexMode;
use unloop_graph::{Axes, DType, ErrorKind, Shape, TensorType};

use crate::simd::{Bound, Indices, Outside, Places, add_positions};
use crate::space::Rows;

/// Index vectors whose positions are computed at a time, before anything is read.
const TILE: usize = 512;

/// Windows that are so few that a long strided row is copied for one after the other.
const FEW: usize = 8;

/// Pieces that the elements of a window are cut into, at most.
const PIECES: usize = 16;

/// Elements of a piece, at least: all positions are computed once more for each.
const PIECE: usize = 64;

/// The parameters of gather and scatter by role.
pub(crate) struct Roles<'a> {
    /// Axes of the operand that run over a window, and of the result (or updates).
    pub window: (Axes, &'a [usize]),
    pub sizes: &'a [usize],
    pub map: &'a [usize],
    /// Axes of operand and indices that are walked together.
    pub batching: (&'a [usize], &'a [usize]),
    pub mode: IndexMode,
}

struct Component {
    /// Axis of the operand, and its extent.
    axis: usize,
    size: usize,
    bound: Bound,
}

/// Windows of an operand, one an index vector.
pub(crate) struct Windows {
    /// The outer axes of the index vectors: streams are the indices, the operand and the other side
    /// (the result or the updates). Steps of indices count elements, all others bytes.
    vectors: Rows,
    /// The innermost axis of the index vectors: its extent, and the streams' steps.
    run: (usize, [isize; 3]),
    /// The rows of a window: streams are the operand and the other side.
    rows: Rows,
    /// A row: its length, and the distance of neighbours on both sides.
    length: usize,
    steps: [isize; 2],
    /// For each component of an index vector.
    components: SmallVec<[Component; 3]>,
    index_dtype: DType,
    /// Whether an offset in the operand is an index times one distance.
    scaled: bool,
    pub mode: IndexMode,
    pub dtype: DType,
    /// Whether two windows have all elements in common, each at the same place, or none.
    pub apart: bool,
}

/// Where the windows of some index vectors start: offsets in the operand and on the other side, and
/// whether they lie in the operand, where the mode asks.
pub(crate) struct Tile {
    at: [isize; TILE],
    other: [isize; TILE],
    inside: [bool; TILE],
    count: usize,
    /// Start and step of the other side's offsets, if the array has them not.
    line: Option<(isize, isize)>,
    /// What the offsets in the operand are multiplied by.
    scale: isize,
}

impl Tile {
    pub fn new() -> Tile {
        Tile {
            at: [0; TILE],
            other: [0; TILE],
            inside: [true; TILE],
            count: 0,
            line: None,
            scale: 1,
        }
    }

    /// Leaves out what is not inside.
    pub fn drop_outside(&mut self) {
        if self.line.is_some() {
            return;
        }
        let mut kept = 0;
        for i in 0..self.count {
            (self.at[kept], self.other[kept]) = (self.at[i], self.other[i]);
            kept += usize::from(self.inside[i]);
        }
        self.count = kept;
    }

    /// The number of windows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The offsets in the operand.
    pub fn at(&self) -> Places<'_> {
        Places::At(&self.at[..self.count], self.scale)
    }

    /// The offset of a window in the operand.
    pub fn at_of(&self, i: usize) -> isize {
        self.at[i] * self.scale
    }

    /// The offsets on the other side.
    pub fn other(&self) -> Places<'_> {
        match self.line {
            Some((start, step)) => Places::Line(start, step),
            None => Places::At(&self.other[..self.count], 1),
        }
    }

    /// The offset of a window on the other side.
    pub fn other_of(&self, i: usize) -> isize {
        match self.line {
            Some((start, step)) => start + i as isize * step,
            None => self.other[i],
        }
    }

    /// Whether a window lies in the operand.
    pub fn is_inside(&self, i: usize) -> bool {
        self.inside[i]
    }

    /// Whether all windows do.
    pub fn all_inside(&self) -> bool {
        self.line.is_some() || self.inside[..self.count].iter().all(|&inside| inside)
    }
}

/// Merges neighbouring axes that all streams walk as one.
fn merge<const N: usize>(axes: &mut Vec<(usize, [isize; N])>) {
    axes.retain(|(extent, _)| *extent != 1);
    let mut i = axes.len();
    while i > 1 {
        i -= 1;
        let (extent, steps) = axes[i];
        if axes[i - 1].1 == steps.map(|s| s * extent as isize) {
            axes[i - 1] = (axes[i - 1].0 * extent, steps);
            axes.remove(i);
        }
    }
}

/// The outer axes as rows.
fn rows<const N: usize>(axes: &[(usize, [isize; N])]) -> Rows {
    Rows::new(
        axes.iter().map(|a| a.0).collect(),
        axes.iter().map(|a| SmallVec::from_slice(&a.1)).collect(),
        SmallVec::from_slice(&[0; N]),
    )
}

impl Windows {
    pub fn new(roles: &Roles<'_>, x: &TensorType, indices: &TensorType, y: &Shape) -> Windows {
        let size = x.dtype.size() as isize;
        let x_strides: Vec<isize> = x.shape.strides().iter().map(|s| s * size).collect();
        let y_strides: Vec<isize> = y.strides().iter().map(|s| s * size).collect();
        let i_strides = indices.shape.strides();
        let batch = (0..y.rank()).filter(|a| !roles.window.1.contains(a)).enumerate();
        let mut vectors: Vec<(usize, [isize; 3])> = batch
            .map(|(i, y_axis)| {
                let shared = roles.batching.1.iter().position(|&a| a == i);
                let x_stride = shared.map_or(0, |p| x_strides[roles.batching.0[p]]);
                (y[y_axis], [i_strides[i], x_stride, y_strides[y_axis]])
            })
            .collect();
        merge(&mut vectors);
        let run = vectors.pop().unwrap_or((1, [0; 3]));
        let mut window: Vec<(usize, [isize; 2])> = (roles.window.0.iter())
            .zip(roles.window.1)
            .map(|(&a, &b)| (roles.sizes[a], [x_strides[a], y_strides[b]]))
            .collect();
        merge(&mut window);
        let (length, steps) = window.pop().unwrap_or((1, [size; 2]));
        let component = |&axis: &usize| Component {
            axis,
            size: x.shape[axis],
            bound: Bound {
                last: x.shape[axis] as i64 - roles.sizes[axis] as i64,
                stride: x_strides[axis],
            },
        };
        let scaled = vectors.is_empty() && run.1[1] == 0 && roles.map.len() == 1;
        Windows {
            scaled,
            vectors: rows(&vectors),
            run,
            rows: rows(&window),
            length,
            steps,
            components: roles.map.iter().map(component).collect(),
            index_dtype: indices.dtype,
            mode: roles.mode,
            dtype: x.dtype,
            apart: roles.map.iter().all(|&axis| roles.sizes[axis] == 1),
        }
    }

    /// Elements of a window.
    pub fn window_size(&self) -> usize {
        self.rows.count() * self.length
    }

    /// The number of index vectors.
    pub fn count(&self) -> usize {
        self.vectors.count() * self.run.0
    }

    /// The number of tiles.
    pub fn tiles(&self) -> usize {
        self.count().div_ceil(TILE)
    }

    /// Pieces that the elements of a window are cut into, for several threads.
    pub fn pieces(&self) -> usize {
        (self.window_size() / PIECE).clamp(1, PIECES)
    }

    /// Whether no window lies in the operand, wherever it starts.
    pub fn nowhere(&self) -> bool {
        self.components.iter().any(|component| component.bound.last < 0)
    }

    /// Whether windows are copied one after the other, and not a row of all windows after the next.
    pub fn one_by_one(&self) -> bool {
        self.count() < self.length.min(FEW) && !self.is_contiguous()
    }

    /// Whether rows are contiguous on both sides.
    fn is_contiguous(&self) -> bool {
        self.steps == [self.dtype.size() as isize; 2]
    }

    /// Computes the positions of a tile; the first index that is out of bounds is an error, unless
    /// the mode says otherwise. It comes with the number of its vector.
    ///
    /// # Safety
    /// All index vectors are readable.
    pub unsafe fn positions(
        &self,
        number: usize,
        indices: *const u8,
        tile: &mut Tile,
    ) -> Result<(), (usize, ErrorKind)> {
        let first = number * TILE;
        tile.count = TILE.min(self.count() - first);
        let outside = match self.mode {
            IndexMode::Error => Outside::Tell,
            IndexMode::Clip => Outside::Clamp,
            IndexMode::Fill(_) => Outside::Mark,
        };
        let (extent, steps) = self.run;
        let (mut cursor, mut within) = (self.vectors.at(first / extent), first % extent);
        let size = self.index_dtype.size() as isize;
        let is_line = within + tile.count <= extent && outside != Outside::Mark;
        tile.line = is_line.then(|| (cursor.offsets[2] + within as isize * steps[2], steps[2]));
        tile.scale = if self.scaled { self.components[0].bound.stride } else { 1 };
        if outside == Outside::Mark {
            tile.inside[..tile.count].fill(true);
        }
        let mut done = 0;
        while done < tile.count {
            let n = (extent - within).min(tile.count - done);
            let start = |s: usize| cursor.offsets[s] + within as isize * steps[s];
            let part = done..done + n;
            match steps[1] {
                0 => tile.at[part.clone()].fill(start(1)),
                step => {
                    for (k, at) in tile.at[part.clone()].iter_mut().enumerate() {
                        *at = start(1) + k as isize * step;
                    }
                }
            }
            if !is_line {
                for (k, other) in tile.other[part.clone()].iter_mut().enumerate() {
                    *other = start(2) + k as isize * steps[2];
                }
            }
            let mut all = true;
            for (c, component) in self.components.iter().enumerate() {
                let from = indices.wrapping_offset((start(0) + c as isize) * size);
                let (at, marks) = (&mut tile.at[part.clone()], &mut tile.inside[part.clone()]);
                let from = Indices { start: from, step: steps[0], dtype: self.index_dtype };
                let stride = if self.scaled { 1 } else { component.bound.stride };
                let bound = Bound { stride, ..component.bound };
                // SAFETY: the caller makes the vectors readable.
                all &= unsafe { add_positions(at, (outside, marks), from, bound) };
            }
            if !all && outside == Outside::Tell {
                // SAFETY: as above.
                return Err(unsafe { self.first_outside(first + done, indices) });
            }
            done += n;
            within = 0;
            cursor.advance();
        }
        Ok(())
    }

    /// The first index vector from one on that is out of bounds, and its error.
    ///
    /// # Safety
    /// All index vectors are readable.
    unsafe fn first_outside(&self, from: usize, indices: *const u8) -> (usize, ErrorKind) {
        let (extent, steps) = self.run;
        for vector in from..self.count() {
            let start = self.vectors.at(vector / extent).offsets[0];
            let start = start + (vector % extent) as isize * steps[0];
            for (c, &Component { axis, size, bound }) in self.components.iter().enumerate() {
                let offset = start + c as isize;
                // SAFETY: the caller makes the components readable.
                let index = unsafe {
                    match self.index_dtype {
                        DType::I32 => i64::from(indices.cast::<i32>().offset(offset).read()),
                        DType::U32 => i64::from(indices.cast::<u32>().offset(offset).read()),
                        DType::I64 => indices.cast::<i64>().offset(offset).read(),
                        other => unreachable!("indices are integers, not {other}"),
                    }
                };
                if !(0..=bound.last).contains(&index) {
                    return (vector, ErrorKind::IndexOutOfBounds { index, axis, size });
                }
            }
        }
        unreachable!("a component is out of bounds")
    }

    /// Runs `f` for the rows that make up some elements of a window: offsets in the operand and on the
    /// other side, the number of elements, and their distances.
    pub fn for_each_row(
        &self,
        elements: std::ops::Range<usize>,
        mut f: impl FnMut([isize; 2], usize, [isize; 2]),
    ) {
        let mut row = |starts: [isize; 2], within: usize, n: usize| {
            let at = |s: usize| starts[s] + within as isize * self.steps[s];
            f([at(0), at(1)], n, self.steps);
        };
        if self.rows.is_one() {
            return row([0, 0], elements.start, elements.len());
        }
        let (mut cursor, mut i) = (self.rows.at(elements.start / self.length), elements.start);
        while i < elements.end {
            let within = i % self.length;
            let n = (self.length - within).min(elements.end - i);
            row([cursor.offsets[0], cursor.offsets[1]], within, n);
            i += n;
            cursor.advance();
        }
    }

    /// The same for contiguous rows, if need be of one element.
    pub fn for_each_run(
        &self,
        elements: std::ops::Range<usize>,
        mut f: impl FnMut([isize; 2], usize),
    ) {
        let contiguous = self.is_contiguous();
        self.for_each_row(elements, |[x, y], n, steps| {
            if contiguous {
                return f([x, y], n);
            }
            (0..n as isize).for_each(|i| f([x + i * steps[0], y + i * steps[1]], 1));
        });
    }
}

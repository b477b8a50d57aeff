//! Sorting rows of several tensors by the first of them.
//!
//! Elements become integers in their order ([`crate::simd::Sorting`]). A row that moves alone is sorted
//! as such keys; else each key shares a word with its position, and elements move to the sorted
//! positions. Short rows are sorted in lanes, many side by side; long ones in [`items`].

mod items;

use std::cmp::Ordering;
use std::ops::Range;

use smallvec::SmallVec;
use unloop_graph::op::Sort;
use unloop_graph::{DType, ErrorKind, TensorType};

use crate::memory::{ALIGN, Addresses, SharedPtr, with_scratch};
use crate::parallel::for_ranges;
use crate::simd::{Columns, Key, Packing, Simd, Sorting, permute};
use items::{Bits, Row, Sorted};

/// Rows up to this length are sorted in lanes, by the size of what is compared: comparisons an element
/// grow as the square of the logarithm of the length, and words of eight bytes have no minimum in vectors
/// of AVX2. Measured on Zen 3, in nanoseconds an element on one thread, in lanes and alone: of four bytes
/// 3 and 11 at 512, 5 and 10 at 2,000; of eight 10 and 10 at 100, 16 and 12 at 512.
const SHORT: [usize; 2] = [2048, 128];

/// Elements of rows that lie side by side in memory and are taken apart together, so that a cache line
/// is read once.
const TOGETHER: usize = 1 << 17;

/// A sort, ready to run.
pub(crate) struct SortStep {
    simd: Simd,
    keys: usize,
    /// Ones where the order is reversed.
    flip: i64,
    /// Rows: `outer` times `inner`, each of `extent` elements at a distance of `inner`.
    outer: usize,
    extent: usize,
    inner: usize,
    /// The places of the order that are wanted.
    kept: Range<usize>,
    dtypes: SmallVec<[DType; 3]>,
    sources: SmallVec<[usize; 3]>,
    targets: SmallVec<[usize; 3]>,
}

/// Rows side by side: the first element of the first, in elements from the start of the operand or
/// result; from a row to the next; and from an element to the next.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    row: usize,
    step: usize,
}

/// Rows that are sorted together, where they come from and where they go.
#[derive(Clone, Copy)]
struct Group {
    rows: usize,
    from: Place,
    to: Place,
}

/// The room of a thread.
#[derive(Clone, Copy)]
struct Room {
    /// Keys or words of a group, a row after the other or in lanes.
    items: *mut u8,
    /// Room of one row for [`Row`], or of a group in lanes.
    spare: *mut u8,
    /// Elements of a group of rows, a row after the other: before, and after they are sorted.
    before: *mut u8,
    after: *mut u8,
}

/// One comparison of two elements of a row.
type Compare = unsafe fn(row: *const u8, i: usize, j: usize) -> Ordering;

fn comparison(dtype: DType) -> Compare {
    macro_rules! by {
        ($t:ty, $compare:expr) => {{
            unsafe fn compare(row: *const u8, i: usize, j: usize) -> Ordering {
                let row = row.cast::<$t>();
                // SAFETY: the caller makes both elements readable.
                let (a, b) = unsafe { (row.add(i).read(), row.add(j).read()) };
                let compare: fn(&$t, &$t) -> Ordering = $compare;
                compare(&a, &b)
            }
            compare
        }};
    }
    match dtype {
        DType::Bool => by!(u8, Ord::cmp),
        DType::I32 => by!(i32, Ord::cmp),
        DType::I64 => by!(i64, Ord::cmp),
        DType::U32 => by!(u32, Ord::cmp),
        DType::F32 => {
            by!(f32, |a, b| { a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())) })
        }
        DType::F64 => {
            by!(f64, |a, b| { a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())) })
        }
    }
}

impl SortStep {
    /// Compiles a sort, with the buffers of operands and results.
    pub fn compile(
        sort: &Sort,
        simd: Simd,
        operands: &[(usize, &TensorType)],
        results: &[(usize, &TensorType)],
    ) -> SortStep {
        let shape = &operands[0].1.shape;
        SortStep {
            simd,
            keys: sort.keys,
            flip: if sort.descending { -1 } else { 0 },
            outer: shape[..sort.axis].iter().product(),
            extent: shape[sort.axis],
            inner: shape[sort.axis + 1..].iter().product(),
            kept: sort.kept.clone(),
            dtypes: operands.iter().map(|o| o.1.dtype).collect(),
            sources: operands.iter().map(|o| o.0).collect(),
            targets: results.iter().map(|r| r.0).collect(),
        }
    }

    /// # Safety
    /// The buffers are as large as their values, the targets are disjoint from the sources.
    pub unsafe fn run(&self, memory: Addresses<'_>) -> Result<(), ErrorKind> {
        if self.kept.is_empty() || self.outer * self.inner == 0 {
            return Ok(());
        }
        let address = |buffers: &[usize]| -> SmallVec<[SharedPtr; 3]> {
            buffers.iter().map(|&b| SharedPtr(memory.of(b))).collect()
        };
        let (sources, targets) = (address(&self.sources), address(&self.targets));
        let (most, count) = self.groups();
        let n = self.extent;
        let ns = (self.outer * self.inner * n) as f64
            * (4.0 + (n.max(1) as f64).log2() * 0.5 * self.dtypes.len() as f64);
        for_ranges(count, ns, |range| {
            with_scratch(self.scratch(), |scratch| {
                let room = self.room(scratch);
                for i in range {
                    let group = self.group(i, most);
                    // SAFETY: the group lies in the operands and results; the room is large enough.
                    unsafe {
                        match (self.is_alone(), self.key_size()) {
                            (false, _) => self.by_positions(group, room, &sources, &targets)?,
                            (true, 4) => self.alone::<i32>(group, room, sources[0], targets[0])?,
                            (true, _) => self.alone::<i64>(group, room, sources[0], targets[0])?,
                        }
                    }
                }
                Ok(())
            })?
        })
    }

    /// Whether rows are sorted by themselves and move without others.
    fn is_alone(&self) -> bool {
        self.dtypes.len() == 1
    }

    /// Bytes of what is sorted.
    fn key_size(&self) -> usize {
        if self.is_alone() && self.dtypes[0].size() < 8 { 4 } else { 8 }
    }

    fn is_short(&self) -> bool {
        self.extent <= SHORT[usize::from(self.key_size() == 8)]
    }

    /// Rows of a group, and how many groups there are.
    fn groups(&self) -> (usize, usize) {
        let most = match (self.is_short(), self.inner) {
            (true, _) => 64 / self.key_size(),
            (false, 1) => 1,
            // Places of columns are told in 32 bits.
            (false, _) if self.extent > 1 << 26 => 1,
            // A cache line of elements, but for rows that would take a lot of memory.
            (false, _) => (TOGETHER / self.extent).clamp(4, 16),
        };
        match self.inner {
            1 => (most, self.outer.div_ceil(most)),
            inner => (most, self.outer * inner.div_ceil(most)),
        }
    }

    fn group(&self, i: usize, most: usize) -> Group {
        let (n, m) = (self.extent, self.kept.len());
        if self.inner == 1 {
            let first = i * most;
            let rows = most.min(self.outer - first);
            let place = |n: usize| Place { start: first * n, row: n, step: 1 };
            return Group { rows, from: place(n), to: place(m) };
        }
        let inner = self.inner;
        let (outer, first) = (i / inner.div_ceil(most), i % inner.div_ceil(most) * most);
        let rows = most.min(inner - first);
        let place = |n: usize| Place { start: outer * n * inner + first, row: 1, step: inner };
        Group { rows, from: place(n), to: place(m) }
    }

    /// Sizes of the parts of [`Room`].
    fn sizes(&self) -> [usize; 4] {
        let (rows, n) = (self.groups().0, self.extent);
        let group = rows * n * 8;
        let staged = if self.inner == 1 { 0 } else { group };
        let key = self.key_size();
        let (items, spare) = match (self.is_short(), key) {
            (true, _) => (rows * n * key, rows * n * key),
            (false, 4) => (rows * n * key, Row::<i32>::spare_bytes(n)),
            (false, _) => (rows * n * key, Row::<i64>::spare_bytes(n)),
        };
        [items, spare, staged, staged].map(|bytes| bytes.next_multiple_of(ALIGN))
    }

    /// Bytes of scratch memory of a thread.
    pub fn scratch(&self) -> usize {
        self.sizes().iter().sum()
    }

    fn room(&self, scratch: *mut u8) -> Room {
        let [a, b, c, _] = self.sizes();
        let at = |offset: usize| scratch.wrapping_add(offset);
        Room { items: at(0), spare: at(a), before: at(a + b), after: at(a + b + c) }
    }

    /// Sorts rows that are the only operand.
    ///
    /// # Safety
    /// As [`SortStep::run`]; the group lies in the operand, and the room has its sizes.
    unsafe fn alone<K: Bits>(
        &self,
        group: Group,
        room: Room,
        source: SharedPtr,
        target: SharedPtr,
    ) -> Result<(), ErrorKind> {
        let dtype = self.dtypes[0];
        let (size, n, m) = (dtype.size(), self.extent, self.kept.len());
        let kernels = self.simd.sorting(dtype);
        let (x, y) = (at(source, group.from.start * size), at(target, group.to.start * size));
        let flip = self.flip;
        let flip = (&raw const flip).cast::<u8>();
        let items = room.items.cast::<K>();
        // SAFETY: as the caller's.
        unsafe {
            if self.is_short() && self.inner > 1 {
                for i in 0..n {
                    let x = x.wrapping_add(i * group.from.step * size);
                    (kernels.to_keys)(items.add(i * K::LANES).cast(), x, flip, x, group.rows);
                }
                self.in_lanes::<K>(room.items, group.rows);
                for i in 0..m {
                    let y = y.wrapping_add(i * group.to.step * size);
                    let keys = items.add((self.kept.start + i) * K::LANES).cast();
                    (kernels.of_keys)(y, keys, flip, keys, group.rows);
                }
                self.restore(kernels, group, x, y);
                return Ok(());
            }
            let (before, after) = match self.inner {
                1 => (x, y),
                _ => {
                    self.split(group, x, room.before, dtype);
                    (room.before, room.after)
                }
            };
            if self.is_short() {
                // All rows are one after the other.
                let rows = room.spare.cast::<K>();
                (kernels.to_keys)(room.spare, before, flip, before, group.rows * n);
                let lanes = (room.items, K::LANES);
                self.transpose::<false>(lanes, room.spare, group.rows, n, K::DTYPE);
                self.in_lanes::<K>(room.items, group.rows);
                self.transpose::<true>(lanes, room.spare, group.rows, n, K::DTYPE);
                for r in 0..group.rows {
                    let keys = rows.add(r * n + self.kept.start).cast();
                    (kernels.of_keys)(after.wrapping_add(r * m * size), keys, flip, keys, m);
                }
            } else {
                for r in 0..group.rows {
                    let row = Row { items, spare: room.spare.cast(), n };
                    let x = SharedPtr(before.wrapping_add(r * n * size));
                    let (keys, flip) = (SharedPtr(room.items), SharedPtr(flip.cast_mut()));
                    for_ranges(n, n as f64 * ELEMENT_NS, |range| {
                        let x = at(x, range.start * size);
                        let to = at(keys, range.start * size_of::<K>());
                        (kernels.to_keys)(to, x, flip.get(), x, range.len());
                        Ok(())
                    })?;
                    let Sorted { keys, first } = row.sort(self.kept.clone(), K::NONE)?;
                    let keys = SharedPtr(keys[self.kept.start - first..].as_mut_ptr().cast());
                    let y = SharedPtr(after.wrapping_add(r * m * size));
                    for_ranges(m, m as f64 * ELEMENT_NS, |range| {
                        let keys = at(keys, range.start * size_of::<K>());
                        (kernels.of_keys)(
                            at(y, range.start * size),
                            keys,
                            flip.get(),
                            keys,
                            range.len(),
                        );
                        Ok(())
                    })?;
                }
            }
            if self.inner > 1 {
                self.join(group, room.after, y, dtype);
            }
            self.restore(kernels, group, x, y);
        }
        Ok(())
    }

    /// Gives elements that have one key, zeros and NaN, their bits back, in the order in which they came.
    ///
    /// # Safety
    /// The group's rows lie at `x`, and sorted at `y`.
    unsafe fn restore(&self, kernels: Sorting, group: Group, x: *const u8, y: *mut u8) {
        let dtype = self.dtypes[0];
        if !dtype.is_float() {
            return;
        }
        let (size, n) = (dtype.size(), self.extent);
        let mut any = 0u8;
        // SAFETY: as the caller's.
        unsafe {
            match group.from.step {
                1 => (kernels.any_special)(&mut any, x, x, x, group.rows * n),
                step => (0..n).for_each(|i| {
                    let x = x.wrapping_add(i * step * size);
                    (kernels.any_special)(&mut any, x, x, x, group.rows);
                }),
            }
            for r in 0..if any == 1 { group.rows } else { 0 } {
                let x = x.wrapping_add(r * group.from.row * size);
                let y = y.wrapping_add(r * group.to.row * size);
                match size {
                    4 => self.restore_row::<f32>(group, x.cast(), y.cast()),
                    _ => self.restore_row::<f64>(group, x.cast(), y.cast()),
                }
            }
        }
    }

    /// # Safety
    /// As [`SortStep::restore`], of one row.
    unsafe fn restore_row<T: Copy + Into<f64>>(&self, group: Group, x: *const T, y: *mut T) {
        let (n, flip) = (self.extent, self.flip != 0);
        // SAFETY: as the caller's.
        let element = |i: usize| unsafe { x.add(i * group.from.step).read_unaligned() };
        let number = |i: usize| -> f64 { element(i).into() };
        let rank =
            |is_before: &dyn Fn(f64) -> bool| (0..n).filter(|&i| is_before(number(i))).count();
        let zeros = rank(&|x| if flip { x > 0.0 || x.is_nan() } else { x < 0.0 });
        let nans = if flip { 0 } else { rank(&|x| !x.is_nan()) };
        // Those that stand before the places that are kept are passed over.
        let skipped = |rank: usize| self.kept.start.saturating_sub(rank);
        let mut zeros = (0..n).filter(|&i| number(i) == 0.0).skip(skipped(zeros));
        let mut nans = (0..n).filter(|&i| number(i).is_nan()).skip(skipped(nans));
        for i in 0..self.kept.len() {
            // SAFETY: as the caller's.
            let y = unsafe { &mut *y.add(i * group.to.step) };
            let found: f64 = (*y).into();
            let from = match found {
                0.0 => zeros.next(),
                x if x.is_nan() => nans.next(),
                _ => None,
            };
            if let Some(from) = from {
                *y = element(from);
            }
        }
    }

    /// Sorts the columns of keys in lanes.
    ///
    /// # Safety
    /// There are `rows` columns; the others may be anything.
    unsafe fn in_lanes<K: Bits>(&self, items: *mut u8, rows: usize) {
        let n = self.extent;
        // SAFETY: the room of a group has all lanes.
        unsafe {
            for i in 0..if rows < K::LANES { n } else { 0 } {
                let lanes = items.cast::<K>().add(i * K::LANES);
                (rows..K::LANES).for_each(|lane| lanes.add(lane).write(K::LEAST));
            }
            let network = self.simd.network(size_of::<K>());
            network(items, items, items, items, n);
        }
    }

    /// Sorts rows of the first operands with their positions, and moves all operands alike.
    ///
    /// # Safety
    /// As [`SortStep::run`]; the group lies in the operands, and the room has its sizes.
    unsafe fn by_positions(
        &self,
        group: Group,
        room: Room,
        sources: &[SharedPtr],
        targets: &[SharedPtr],
    ) -> Result<(), ErrorKind> {
        let (n, m, dtype) = (self.extent, self.kept.len(), self.dtypes[0]);
        let x = at(sources[0], group.from.start * dtype.size());
        let bits = usize::BITS - (n - 1).leading_zeros();
        let mask = (1i64 << bits) - 1;
        // Where the places that are kept start in each row's words.
        let mut starts: SmallVec<[usize; 16]> = SmallVec::from_elem(self.kept.start, group.rows);
        let mut lossy = self.keys > 1;
        let words = |r: usize| room.items.cast::<i64>().wrapping_add(r * n);
        // SAFETY: as the caller's.
        unsafe {
            let first = match self.inner {
                1 => x,
                _ => {
                    self.split(group, x, room.before, dtype);
                    room.before
                }
            };
            let row = |r: usize| first.wrapping_add(r * n * dtype.size());
            if self.is_short() {
                let rows = room.spare.cast::<i64>();
                for r in 0..group.rows {
                    lossy |= self.pack(row(r), rows.add(r * n), bits)?;
                }
                let lanes = (room.items, i64::LANES);
                self.transpose::<false>(lanes, room.spare, group.rows, n, DType::I64);
                self.in_lanes::<i64>(room.items, group.rows);
                self.transpose::<true>(lanes, room.spare, group.rows, n, DType::I64);
                std::ptr::copy_nonoverlapping(room.spare, room.items, group.rows * n * 8);
            }
            for r in 0..group.rows {
                if !self.is_short() {
                    lossy |= self.pack(row(r), words(r), bits)?;
                }
                let found = match self.is_short() {
                    true => Sorted { keys: std::slice::from_raw_parts_mut(words(r), n), first: 0 },
                    false => {
                        let row = Row { items: words(r), spare: room.spare.cast(), n };
                        row.sort(self.kept.clone(), if lossy { mask } else { 0 })?
                    }
                };
                starts[r] = self.kept.start - found.first;
                if lossy {
                    self.settle(found.keys, bits, group, r, sources);
                }
            }
            for (k, dtype) in self.dtypes.iter().enumerate() {
                let size = dtype.size();
                let x = at(sources[k], group.from.start * size);
                let y = at(targets[k], group.to.start * size);
                let (before, after) = match self.inner {
                    1 => (x, y),
                    _ => {
                        if k > 0 {
                            self.split(group, x, room.before, *dtype);
                        }
                        (room.before, room.after)
                    }
                };
                for (r, &start) in starts.iter().enumerate() {
                    let row = SharedPtr(before.wrapping_add(r * n * size));
                    let to = SharedPtr(after.wrapping_add(r * m * size));
                    let words = SharedPtr(words(r).wrapping_add(start).cast());
                    for_ranges(m, m as f64 * MOVE_NS, |range| {
                        let words = words.get().cast::<i64>().wrapping_add(range.start);
                        permute(
                            at(to, range.start * size),
                            row.get(),
                            words,
                            mask,
                            range.len(),
                            *dtype,
                        );
                        Ok(())
                    })?;
                }
                if self.inner > 1 {
                    self.join(group, room.after, y, *dtype);
                }
            }
        }
        Ok(())
    }

    /// Writes a row of the first operand as words with positions of so many bits; whether the words do
    /// not tell all that differs.
    ///
    /// # Safety
    /// The row and as many words are there.
    unsafe fn pack(&self, row: *const u8, words: *mut i64, bits: u32) -> Result<bool, ErrorKind> {
        let (n, dtype) = (self.extent, self.dtypes[0]);
        let kernels = self.simd.sorting(dtype);
        let (mut low, mut width) = (i64::from(i32::MIN), i32::BITS);
        if dtype.size() == 8 {
            let mut range = [i64::MAX, i64::MIN];
            let flip = (&raw const self.flip).cast();
            // SAFETY: as the caller's.
            unsafe { (kernels.range)(range.as_mut_ptr().cast(), row, flip, row, n) };
            low = range[0];
            width = u64::BITS - range[1].above(range[0]).leading_zeros();
        }
        let shift = (width + bits).saturating_sub(i64::BITS - 1);
        let (row, words) = (SharedPtr(row.cast_mut()), SharedPtr(words.cast()));
        for_ranges(n, n as f64 * ELEMENT_NS, |range| {
            let how = Packing { flip: self.flip, low, shift, bits, first: range.start };
            let how = (&raw const how).cast();
            let row = at(row, range.start * dtype.size());
            // SAFETY: as the caller's.
            unsafe { (kernels.pack)(at(words, range.start * 8), row, how, row, range.len()) };
            Ok(())
        })?;
        Ok(shift > 0)
    }

    /// Brings words that differ in their positions only in the order of all keys.
    ///
    /// # Safety
    /// The words' positions lie in row `r` of the group.
    unsafe fn settle(
        &self,
        words: &mut [i64],
        bits: u32,
        group: Group,
        r: usize,
        sources: &[SharedPtr],
    ) {
        let mask = (1i64 << bits) - 1;
        let (start, step) = (group.from.start + r * group.from.row, group.from.step);
        let keys: SmallVec<[(Compare, *mut u8); 3]> = (self.dtypes[..self.keys].iter())
            .zip(sources)
            .map(|(&dtype, &source)| (comparison(dtype), at(source, start * dtype.size())))
            .collect();
        let place = |word: i64| (word & mask) as usize * step;
        for tied in words.chunk_by_mut(|a, b| a >> bits == b >> bits).filter(|c| c.len() > 1) {
            tied.sort_unstable_by(|&a, &b| {
                let mut first = Ordering::Equal;
                for (compare, row) in &keys {
                    // SAFETY: as the caller's.
                    first = first.then_with(|| unsafe { compare(*row, place(a), place(b)) });
                }
                (if self.flip != 0 { first.reverse() } else { first }).then(a.cmp(&b))
            });
        }
    }

    /// Takes rows of the group that lie side by side apart.
    ///
    /// # Safety
    /// The rows and the room are there.
    unsafe fn split(&self, group: Group, rows: *mut u8, to: *mut u8, dtype: DType) {
        // SAFETY: as the caller's.
        unsafe {
            self.transpose::<true>((rows, group.from.step), to, group.rows, self.extent, dtype);
        }
    }

    /// Lays what is kept of the group's rows side by side.
    ///
    /// # Safety
    /// As [`SortStep::split`].
    unsafe fn join(&self, group: Group, from: *mut u8, rows: *mut u8, dtype: DType) {
        // SAFETY: as the caller's.
        unsafe {
            self.transpose::<false>(
                (rows, group.to.step),
                from,
                group.rows,
                self.kept.len(),
                dtype,
            );
        }
    }

    /// Columns of a matrix, whose rows are so far apart, to `count` runs of `n` elements one after the
    /// other, or back.
    ///
    /// # Safety
    /// All elements are there.
    unsafe fn transpose<const SPLIT: bool>(
        &self,
        (rows, stride): (*mut u8, usize),
        start: *mut u8,
        count: usize,
        n: usize,
        dtype: DType,
    ) {
        let offsets: SmallVec<[Option<u32>; 16]> =
            (0..count).map(|r| Some((r * n * dtype.size()) as u32)).collect();
        let columns = Columns { rows, stride, columns: &offsets, start, n };
        // SAFETY: as the caller's.
        unsafe {
            match SPLIT {
                true => self.simd.split(columns, dtype),
                false => self.simd.join(columns, dtype),
            }
        }
    }
}

/// Predicted nanoseconds of an element that becomes a key, and of one that moves to its place.
const ELEMENT_NS: f64 = 0.7;
const MOVE_NS: f64 = 2.0;

fn at(address: SharedPtr, bytes: usize) -> *mut u8 {
    address.get().wrapping_add(bytes)
}

//! A long row of integers in order, or a part of that order.

use std::ops::Range;

use unloop_graph::ErrorKind;

use crate::memory::SharedPtr;
use crate::parallel::for_ranges;
use crate::simd::Key;

/// Rows from this length on are sorted by digits: below, clearing the counts takes longer than that
/// gains (on Zen 3; 10 and 8 ns an element at 1,000 and 10,000, where comparisons take 11 and 13).
const BY_DIGITS: usize = 1 << 10;

/// Rows from this length on are split into buckets that lie in caches and are sorted by all threads.
const LONG: usize = 1 << 16;

/// Buckets of a long row: as many as a byte tells, and streams that the nearest cache has lines for.
const BUCKETS: usize = 256;

/// Elements that one thread puts into buckets at a time.
const BLOCK: usize = 1 << 14;

/// Elements of the sample of which every bucket's bound is one: buckets differ by some tenths.
const SAMPLE: usize = BUCKETS * 16;

/// Places in buckets are counted in 32 bits.
fn is_long(n: usize) -> bool {
    (LONG..1 << 32).contains(&n)
}

/// One row of keys and the room that sorting it takes.
#[derive(Clone, Copy)]
pub(super) struct Row<K> {
    /// The keys.
    pub items: *mut K,
    /// Room for as many keys, and [`Row::counts`] after that.
    pub spare: *mut K,
    pub n: usize,
}

/// What a row becomes: sorted keys, the first of which is the `first`th of the row.
pub(super) struct Sorted<'a, K> {
    pub keys: &'a mut [K],
    pub first: usize,
}

impl<K: Bits> Row<K> {
    /// Bytes of the room of a row of `n` keys.
    pub fn spare_bytes(n: usize) -> usize {
        let counts = n.div_ceil(BLOCK) * BUCKETS * size_of::<u32>() + n;
        n * size_of::<K>() + if is_long(n) { counts } else { 0 }
    }

    /// Sorts so much of the row that the places `kept` of the order are among the result. Keys that
    /// differ in the bits of `tie` only are all there or none.
    ///
    /// # Safety
    /// The keys are there, and nobody else uses them or the room while the result is used.
    pub unsafe fn sort<'a>(self, kept: Range<usize>, tie: K) -> Result<Sorted<'a, K>, ErrorKind> {
        // SAFETY: as the caller's.
        unsafe {
            if kept.len() < self.n
                && let Some(found) = self.filter(&kept, tie)?
            {
                return Ok(found);
            }
            self.sort_all()?;
            Ok(Sorted { keys: std::slice::from_raw_parts_mut(self.items, self.n), first: 0 })
        }
    }

    /// Sorts the row where it lies.
    ///
    /// # Safety
    /// As [`Row::sort`].
    unsafe fn sort_all(self) -> Result<(), ErrorKind> {
        // SAFETY: as the caller's.
        unsafe {
            if is_long(self.n) {
                return self.sort_long();
            }
            K::sort(std::slice::from_raw_parts_mut(self.items, self.n), self.spare);
            Ok(())
        }
    }

    /// Buckets between bounds that a sample gives, each sorted on its own.
    ///
    /// # Safety
    /// As [`Row::sort`].
    unsafe fn sort_long(self) -> Result<(), ErrorKind> {
        let (n, size) = (self.n, size_of::<K>());
        let (items, spare) = (SharedPtr(self.items.cast()), SharedPtr(self.spare.cast()));
        let blocks = n.div_ceil(BLOCK);
        let counts = SharedPtr(spare.get().wrapping_add(n * size));
        let ids = SharedPtr(counts.get().wrapping_add(blocks * BUCKETS * size_of::<u32>()));
        let counts_of = |block: usize| counts.get().cast::<u32>().wrapping_add(block * BUCKETS);
        let keys = |range: &Range<usize>| {
            let start = items.get().cast::<K>().wrapping_add(range.start);
            // SAFETY: the keys are there, and are only read until they are all in buckets.
            unsafe { std::slice::from_raw_parts(start, range.len()) }
        };
        let block = |i: usize| i * BLOCK..n.min((i + 1) * BLOCK);
        let bounds = {
            // SAFETY: the room is not in use yet, and the sample is smaller than the row.
            let sample = unsafe { self.sample(SAMPLE) };
            let mut bounds = [sample[0]; BUCKETS];
            let picked = sample.iter().skip(SAMPLE / BUCKETS - 1).step_by(SAMPLE / BUCKETS);
            bounds.iter_mut().zip(picked).for_each(|(bound, &key)| *bound = key);
            bounds
        };
        for_ranges(blocks, n as f64 * 3.0, |range| {
            for i in range {
                let (keys, mut count) = (keys(&block(i)), [0u32; BUCKETS]);
                // SAFETY: each block has its own counts and its own bytes.
                unsafe {
                    let ids = ids.get().wrapping_add(i * BLOCK);
                    classify(keys, &bounds, std::slice::from_raw_parts_mut(ids, keys.len()));
                    let ids = std::slice::from_raw_parts(ids, keys.len());
                    ids.iter().for_each(|&id| count[usize::from(id)] += 1);
                    counts_of(i).cast::<[u32; BUCKETS]>().write(count);
                }
            }
            Ok(())
        })?;
        // Counts become the places where each block's keys of each bucket start.
        let (mut starts, mut at) = ([0usize; BUCKETS + 1], 0);
        for (bucket, start) in starts.iter_mut().take(BUCKETS).enumerate() {
            *start = at;
            for i in 0..blocks {
                // SAFETY: all counts have been written.
                let count = unsafe { &mut *counts_of(i).wrapping_add(bucket) };
                at += std::mem::replace(count, at as u32) as usize;
            }
        }
        starts[BUCKETS] = at;
        for_ranges(blocks, n as f64 * 2.0, |range| {
            for i in range {
                let keys = keys(&block(i));
                // SAFETY: the blocks' places are those of the counts, all different.
                unsafe {
                    let ids =
                        std::slice::from_raw_parts(ids.get().wrapping_add(i * BLOCK), keys.len());
                    let mut places = counts_of(i).cast::<[u32; BUCKETS]>().read();
                    for (&key, &id) in keys.iter().zip(ids) {
                        let place = &mut places[usize::from(id)];
                        spare.get().cast::<K>().wrapping_add(*place as usize).write(key);
                        *place += 1;
                    }
                }
            }
            Ok(())
        })?;
        for_ranges(BUCKETS, n as f64 * 15.0, |range| {
            for bucket in range {
                let (start, len) = (starts[bucket], starts[bucket + 1] - starts[bucket]);
                let at = |p: SharedPtr| p.get().cast::<K>().wrapping_add(start);
                // SAFETY: both parts are the bucket's own; the keys lie in the spare one.
                unsafe {
                    K::sort(std::slice::from_raw_parts_mut(at(spare), len), at(items));
                    std::ptr::copy_nonoverlapping(at(spare), at(items), len);
                }
            }
            Ok(())
        })
    }

    /// So many keys of the row in order, at the start of the room, one from each piece of it.
    ///
    /// # Safety
    /// As [`Row::sort`]; the row is as long as the sample.
    unsafe fn sample<'a>(self, size: usize) -> &'a mut [K] {
        let piece = self.n / size;
        for i in 0..size {
            // Not always the same place of a piece: rows may repeat themselves.
            let within = ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % piece;
            // SAFETY: both places lie in the row.
            unsafe { self.spare.add(i).write(self.items.add(i * piece + within).read()) };
        }
        // SAFETY: these have been written.
        let sample = unsafe { std::slice::from_raw_parts_mut(self.spare, size) };
        sample.sort_unstable();
        sample
    }

    /// The keys between two bounds around the places `kept`, found by a sample, in order; `None` if
    /// they are too many, or do not hold all places.
    ///
    /// # Safety
    /// As [`Row::sort`].
    unsafe fn filter<'a>(
        self,
        kept: &Range<usize>,
        tie: K,
    ) -> Result<Option<Sorted<'a, K>>, ErrorKind> {
        let n = self.n;
        // One key of sixteen, up to where the sample costs nothing beside the rest.
        let size = (n / 16).min(1 << 13);
        if size < 8 || kept.len() > n / 2 {
            return Ok(None);
        }
        let (low, high) = {
            // SAFETY: as the caller's.
            let sample = unsafe { self.sample(size) };
            // Places in the sample vary by the square root of their number.
            let place = |at: usize| at as f64 * size as f64 / n as f64;
            let slack = |p: f64| 5.0 + 4.0 * (p * (1.0 - p / size as f64)).max(0.0).sqrt();
            let (start, end) = (place(kept.start), place(kept.end));
            let below = start - slack(start);
            let above = (end + slack(end)).ceil() as usize;
            let low = (kept.start > 0 && below > 0.0).then(|| sample[below as usize].clear(tie));
            let high = sample.get(above).filter(|_| kept.end < n).map(|&key| key.set(tie));
            (low, high)
        };
        if low.is_none() && high.is_none() {
            return Ok(None);
        }
        let (low, high) = (low.unwrap_or(K::LEAST), high.unwrap_or(K::MOST));
        let (items, spare) = (SharedPtr(self.items.cast()), SharedPtr(self.spare.cast()));
        // Each block's keys between the bounds, at the block's own place, and their numbers.
        let blocks = n.div_ceil(BLOCK);
        let found: Vec<std::sync::atomic::AtomicUsize> =
            (0..2 * blocks).map(|_| Default::default()).collect();
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        for_ranges(blocks, n as f64 * 1.5, |range| {
            for i in range {
                let at = |p: SharedPtr| p.get().cast::<K>().wrapping_add(i * BLOCK);
                // SAFETY: each block has its own part of the room.
                let (below, between) = unsafe {
                    let keys = std::slice::from_raw_parts(at(items), BLOCK.min(n - i * BLOCK));
                    pick(keys, low, high, at(spare))
                };
                found[2 * i].store(below, relaxed);
                found[2 * i + 1].store(between, relaxed);
            }
            Ok(())
        })?;
        let total =
            |k: usize| -> usize { (0..blocks).map(|i| found[2 * i + k].load(relaxed)).sum() };
        let (first, count) = (total(0), total(1));
        if first > kept.start || first + count < kept.end || count > n / 2 {
            return Ok(None);
        }
        let mut end = 0;
        for i in 0..blocks {
            let count = found[2 * i + 1].load(relaxed);
            // SAFETY: keys move to the front of the room, over those that have moved.
            unsafe { std::ptr::copy(self.spare.add(i * BLOCK), self.spare.add(end), count) };
            end += count;
        }
        // SAFETY: as the caller's.
        unsafe {
            std::ptr::copy_nonoverlapping(self.spare, self.items, count);
            Row { n: count, ..self }.sort_all()?;
            let keys = std::slice::from_raw_parts_mut(self.items, count);
            Ok(Some(Sorted { keys, first }))
        }
    }
}

/// What is known of the bits of a key.
pub(super) trait Bits: Key {
    const NONE: Self;
    const LEAST: Self;
    const MOST: Self;
    /// With none of these bits.
    fn clear(self, bits: Self) -> Self;
    /// With all of these bits.
    fn set(self, bits: Self) -> Self;
    /// Sorts keys.
    ///
    /// # Safety
    /// The room is as large as they are, and nobody else uses it.
    unsafe fn sort(keys: &mut [Self], room: *mut Self);
}

impl Bits for i32 {
    const NONE: i32 = 0;
    const LEAST: i32 = i32::MIN;
    const MOST: i32 = i32::MAX;
    fn clear(self, bits: i32) -> i32 {
        self & !bits
    }
    fn set(self, bits: i32) -> i32 {
        self | bits
    }
    unsafe fn sort(keys: &mut [i32], room: *mut i32) {
        if keys.len() < BY_DIGITS {
            return keys.sort_unstable();
        }
        // SAFETY: as the caller's.
        unsafe { by_digits(keys, room) }
    }
}

impl Bits for i64 {
    const NONE: i64 = 0;
    const LEAST: i64 = i64::MIN;
    const MOST: i64 = i64::MAX;
    fn clear(self, bits: i64) -> i64 {
        self & !bits
    }
    fn set(self, bits: i64) -> i64 {
        self | bits
    }
    // Twice as many digits take longer than comparisons.
    unsafe fn sort(keys: &mut [i64], _: *mut i64) {
        keys.sort_unstable();
    }
}

/// Bits of a digit: three of them are a key.
const DIGIT: u32 = 11;

/// Sorts by digits from the last to the first; those that all keys share are left out.
///
/// # Safety
/// The room is as large as the keys, and nobody else uses it.
unsafe fn by_digits(keys: &mut [i32], room: *mut i32) {
    const RADIX: usize = 1 << DIGIT;
    let n = keys.len();
    let low = keys.iter().copied().min().unwrap_or(0);
    let digit = |key: i32, k: u32| (key.above(low) >> (k * DIGIT)) as usize % RADIX;
    let mut counts = [[0u32; RADIX]; 3];
    for &key in keys.iter() {
        (0..3).for_each(|k| counts[k as usize][digit(key, k)] += 1);
    }
    let (mut from, mut to) = (keys.as_mut_ptr(), room);
    for (k, places) in counts.iter_mut().enumerate() {
        if places.iter().any(|&count| count as usize == n) {
            continue;
        }
        let mut at = 0;
        for place in places.iter_mut() {
            at += std::mem::replace(place, at);
        }
        for i in 0..n {
            // SAFETY: places are the numbers below `n`, each once; the last pass has written `from`.
            unsafe {
                let key = from.add(i).read();
                let place = &mut places[digit(key, k as u32)];
                to.add(*place as usize).write(key);
                *place += 1;
            }
        }
        std::mem::swap(&mut from, &mut to);
    }
    if std::ptr::eq(from, room) {
        // SAFETY: the room holds all keys.
        unsafe { std::ptr::copy_nonoverlapping(room, keys.as_mut_ptr(), n) };
    }
}

/// Into which bucket each key goes: how many of the bounds, but for the last, are smaller.
fn classify<K: Key>(keys: &[K], bounds: &[K; BUCKETS], ids: &mut [u8]) {
    /// Keys that are looked up side by side, so that they need not wait for each other.
    const SIDE: usize = 8;
    fn side<K: Key, const N: usize>(keys: [K; N], bounds: &[K; BUCKETS]) -> [u8; N] {
        let mut at = [0usize; N];
        for bit in (0..BUCKETS.ilog2()).rev() {
            let step = 1 << bit;
            for (at, key) in at.iter_mut().zip(keys) {
                // No branch, which nobody could predict.
                *at += usize::from(bounds[(*at + step - 1) % BUCKETS] < key) << bit;
            }
        }
        at.map(|at| at as u8)
    }
    let (keys, last) = keys.as_chunks::<SIDE>();
    let (ids, last_ids) = ids.as_chunks_mut::<SIDE>();
    keys.iter().zip(ids).for_each(|(&keys, ids)| *ids = side(keys, bounds));
    last.iter().zip(last_ids).for_each(|(&key, id)| [*id] = side([key], bounds));
}

/// Writes the keys from `low` to `high` one after the other; how many are smaller, and how many those are.
///
/// # Safety
/// There is room for all keys.
unsafe fn pick<K: Key>(keys: &[K], low: K, high: K, to: *mut K) -> (usize, usize) {
    let (mut below, mut count) = (0, 0);
    for &key in keys {
        // SAFETY: as the caller's.
        unsafe { to.add(count).write(key) };
        below += usize::from(key < low);
        count += usize::from(low <= key && key <= high);
    }
    (below, count)
}

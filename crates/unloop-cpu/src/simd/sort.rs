//! Ordered integers that stand for elements, and rows of them sorted in lanes.

use std::marker::PhantomData;

use unloop_graph::DType;

use super::level::{Kernel, Level, Simd, TileFn, at_level};

/// An integer that is compared.
pub trait Key: Copy + Ord + Send + Sync {
    /// Lanes of a group of rows: a cache line.
    const LANES: usize;
    /// Keys are as large as elements of this dtype.
    const DTYPE: DType;
    /// The wrapping distance from a smaller key.
    fn above(self, low: Self) -> u64;
}

impl Key for i32 {
    const LANES: usize = 16;
    const DTYPE: DType = DType::I32;
    fn above(self, low: i32) -> u64 {
        u64::from(self.wrapping_sub(low) as u32)
    }
}

impl Key for i64 {
    const LANES: usize = 8;
    const DTYPE: DType = DType::I64;
    fn above(self, low: i64) -> u64 {
        self.wrapping_sub(low) as u64
    }
}

/// An element with an order: keys are in the order of elements, equal ones have the same key.
trait Element: Copy {
    type Key: Key + std::ops::BitXor<Output = Self::Key>;
    fn key(self) -> Self::Key;
    fn of(key: Self::Key) -> Self;
    /// Whether the key does not tell all bits of the element.
    fn is_special(self) -> bool;
}

macro_rules! integer {
    ($t:ty, $key:ty, $x:ident => $to:expr, $k:ident => $from:expr) => {
        impl Element for $t {
            type Key = $key;
            #[inline(always)]
            fn key(self) -> $key {
                let $x = self;
                $to
            }
            #[inline(always)]
            fn of($k: $key) -> $t {
                $from
            }
            #[inline(always)]
            fn is_special(self) -> bool {
                false
            }
        }
    };
}
integer!(u8, i32, x => i32::from(x), k => k as u8);
integer!(i32, i32, x => x, k => k);
integer!(u32, i32, x => (x as i32) ^ i32::MIN, k => (k ^ i32::MIN) as u32);
integer!(i64, i64, x => x, k => k);

macro_rules! float {
    ($t:ty, $bits:ty, $key:ty) => {
        impl Element for $t {
            type Key = $key;
            /// Zeros have one key, and NaN the largest.
            #[inline(always)]
            fn key(self) -> $key {
                let bits = (self + 0.0).to_bits() as $key;
                let ordered = bits ^ ((bits >> (<$key>::BITS - 1)) & <$key>::MAX);
                if self.is_nan() { <$key>::MAX } else { ordered }
            }
            #[inline(always)]
            fn of(key: $key) -> $t {
                <$t>::from_bits((key ^ ((key >> (<$key>::BITS - 1)) & <$key>::MAX)) as $bits)
            }
            #[inline(always)]
            fn is_special(self) -> bool {
                self.is_nan() | (self.to_bits() == 1 << (<$key>::BITS - 1))
            }
        }
    };
}
float!(f32, u32, i32);
float!(f64, u64, i64);

/// `dst[i]` = the key of element `a[i]`, its bits flipped where `b` has ones.
struct ToKeys<E>(PhantomData<E>);

impl<E: Element> Kernel for ToKeys<E> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, b: *const u8, _: *const u8, n: usize) {
        let (dst, a) = (dst.cast::<E::Key>(), a.cast::<E>());
        // SAFETY: as the caller's.
        unsafe {
            let flip = b.cast::<E::Key>().read();
            for i in 0..n {
                dst.add(i).write(a.add(i).read_unaligned().key() ^ flip);
            }
        }
    }
}

/// The inverse of [`ToKeys`].
struct OfKeys<E>(PhantomData<E>);

impl<E: Element> Kernel for OfKeys<E> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, b: *const u8, _: *const u8, n: usize) {
        let (dst, a) = (dst.cast::<E>(), a.cast::<E::Key>());
        // SAFETY: as the caller's.
        unsafe {
            let flip = b.cast::<E::Key>().read();
            for i in 0..n {
                dst.add(i).write_unaligned(E::of(a.add(i).read() ^ flip));
            }
        }
    }
}

/// `dst[0]` becomes 1 if the key of any element `a[i]` does not tell all its bits.
struct AnySpecial<E>(PhantomData<E>);

impl<E: Element> Kernel for AnySpecial<E> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, _: *const u8, _: *const u8, n: usize) {
        let a = a.cast::<E>();
        // Chunks, as a loop that may end early is not vectorised.
        const CHUNK: usize = 1024;
        for start in (0..n).step_by(CHUNK) {
            let mut any = false;
            for i in start..n.min(start + CHUNK) {
                // SAFETY: as the caller's.
                any |= unsafe { a.add(i).read_unaligned() }.is_special();
            }
            if any {
                // SAFETY: as the caller's.
                return unsafe { dst.write(1) };
            }
        }
    }
}

/// How keys and positions share a word: `(key - low) >> shift` above `bits` bits of the position.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    pub flip: i64,
    pub low: i64,
    pub shift: u32,
    pub bits: u32,
    /// The position of the first element.
    pub first: usize,
}

/// `dst[i]` = element `a[i]` and its position by the [`Packing`] `b`.
struct Pack<E>(PhantomData<E>);

impl<E: Element> Kernel for Pack<E>
where
    E::Key: Into<i64>,
{
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, b: *const u8, _: *const u8, n: usize) {
        let (dst, a) = (dst.cast::<i64>(), a.cast::<E>());
        // SAFETY: as the caller's.
        unsafe {
            let how = b.cast::<Packing>().read();
            for i in 0..n {
                let key: i64 = a.add(i).read_unaligned().key().into();
                let above = (key ^ how.flip).wrapping_sub(how.low) as u64 >> how.shift;
                dst.add(i).write((above << how.bits) as i64 | (how.first + i) as i64);
            }
        }
    }
}

/// `dst[0]` and `dst[1]` = the smallest and the largest key of the elements `a[i]`, as i64, and of
/// those two; bits flipped as by [`ToKeys`].
struct Range<E>(PhantomData<E>);

impl<E: Element> Kernel for Range<E>
where
    E::Key: Into<i64>,
{
    #[inline(always)]
    unsafe fn run(dst: *mut u8, a: *const u8, b: *const u8, _: *const u8, n: usize) {
        let (dst, a) = (dst.cast::<i64>(), a.cast::<E>());
        // SAFETY: as the caller's.
        unsafe {
            let flip = b.cast::<i64>().read();
            let (mut low, mut high) = (dst.read(), dst.add(1).read());
            for i in 0..n {
                let key: i64 = a.add(i).read_unaligned().key().into();
                low = low.min(key ^ flip);
                high = high.max(key ^ flip);
            }
            dst.write(low);
            dst.add(1).write(high);
        }
    }
}

/// Sorts the columns of the `n` by [`Key::LANES`] keys at `dst`: merge exchange (Knuth, *The Art of
/// Computer Programming*, volume 3, algorithm 5.2.2M), whose comparisons are the same for any keys.
struct Network<K>(PhantomData<K>);

impl<K: Key> Kernel for Network<K> {
    #[inline(always)]
    unsafe fn run(dst: *mut u8, _: *const u8, _: *const u8, _: *const u8, n: usize) {
        let rows = dst.cast::<K>();
        let exchange = |i: usize, j: usize| {
            for lane in 0..K::LANES {
                // SAFETY: both rows are among the `n` that the caller makes valid.
                unsafe {
                    let (p, q) = (rows.add(i * K::LANES + lane), rows.add(j * K::LANES + lane));
                    let (x, y) = (p.read(), q.read());
                    p.write(if y < x { y } else { x });
                    q.write(if y < x { x } else { y });
                }
            }
        };
        let top = n.next_power_of_two() / 2;
        let mut p = top;
        while p > 0 {
            let (mut q, mut r, mut d) = (top, 0, p);
            loop {
                // All `i` below `n - d` whose bit `p` is that of `r`.
                let mut start = r;
                while start + d < n {
                    for i in start..(start + p).min(n - d) {
                        exchange(i, i + d);
                    }
                    start += 2 * p;
                }
                if q == p {
                    break;
                }
                (d, r) = (q - p, p);
                q /= 2;
            }
            p /= 2;
        }
    }
}

/// The kernels of sorting elements of a dtype.
#[derive(Clone, Copy)]
pub struct Sorting {
    /// Elements to keys: `dst`, elements, what is flipped of keys.
    pub to_keys: TileFn,
    /// The inverse.
    pub of_keys: TileFn,
    /// Whether the keys of any elements do not tell all their bits: sets a byte.
    pub any_special: TileFn,
    /// Elements to words with their positions: words, elements, a [`Packing`].
    pub pack: TileFn,
    /// The smallest and the largest key as i64, elements, what is flipped.
    pub range: TileFn,
}

impl Simd {
    /// The kernels that sort elements of a dtype.
    pub fn sorting(self, dtype: DType) -> Sorting {
        at_level!(self, sorting(dtype))
    }

    /// Sorts columns: `n` rows of [`Key::LANES`] keys at `dst`.
    pub fn network(self, key_size: usize) -> TileFn {
        at_level!(self, network(key_size))
    }
}

fn network<L: Level>(key_size: usize) -> TileFn {
    if key_size == 4 { L::tile::<Network<i32>>() } else { L::tile::<Network<i64>>() }
}

fn sorting<L: Level>(dtype: DType) -> Sorting {
    fn of<L: Level, E: Element>() -> Sorting
    where
        E::Key: Into<i64>,
    {
        Sorting {
            to_keys: L::tile::<ToKeys<E>>(),
            of_keys: L::tile::<OfKeys<E>>(),
            any_special: L::tile::<AnySpecial<E>>(),
            pack: L::tile::<Pack<E>>(),
            range: L::tile::<Range<E>>(),
        }
    }
    match dtype {
        DType::Bool => of::<L, u8>(),
        DType::I32 => of::<L, i32>(),
        DType::I64 => of::<L, i64>(),
        DType::U32 => of::<L, u32>(),
        DType::F32 => of::<L, f32>(),
        DType::F64 => of::<L, f64>(),
    }
}

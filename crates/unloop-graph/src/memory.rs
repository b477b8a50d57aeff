//! The one place where memory for elements comes from: it is counted, kept below the limit, and what
//! cannot be had is an error, never an abort. Memory of large arrays that nobody holds any more is kept
//! for results to come: the system hands out fresh pages slower than most programs fill them.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::ErrorKind;
use crate::{Buffer, DType, Element, backend, with_dtype};

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// From now on the library takes no more than this many bytes, all threads together: tensors that
/// exist count (a constant fill takes the memory of one element, a view none), results, values in
/// between, scratch memory, and elements that are copied out. What needs more is
/// [`ErrorKind::OutOfMemory`], a program as soon as it is compiled if it could never run. The limit
/// does not take back what is in use already.
///
/// Not counted are vectors that have been handed over to the caller, programs themselves, a megabyte
/// or two that each thread keeps for its tiles, and the addresses that each thread reserves for the
/// blocks of matrix products: twice the size of the last cache, of which it touches what it packs.
///
/// ```
/// # use unloop_graph::{ErrorKind, Tensor, memory_in_use, set_memory_limit};
/// set_memory_limit(memory_in_use() + 1000);
/// let x = Tensor::linspace(0.0, 1.0, 1000); // 8000 bytes
/// assert!(matches!(x.check().unwrap_err().kind(), ErrorKind::OutOfMemory { needed: 8000, .. }));
/// set_memory_limit(usize::MAX);
/// ```
pub fn set_memory_limit(bytes: usize) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// The limit, in bytes, that [`set_memory_limit`] has set; `usize::MAX` if none.
pub fn memory_limit() -> usize {
    LIMIT.load(Ordering::Relaxed)
}

/// The bytes that count against the limit now, of all threads together.
pub fn memory_in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// Bytes that count as in use for as long as this lives.
#[derive(Debug)]
pub struct Charge(usize);

impl Charge {
    /// Counts bytes that are about to be taken.
    ///
    /// # Errors
    /// `OutOfMemory` if the limit forbids them.
    pub fn new(bytes: usize) -> Result<Charge, ErrorKind> {
        let charge = Charge::of(bytes);
        let fits = || memory_in_use() <= memory_limit() && bytes <= memory_limit();
        if fits() {
            return Ok(charge);
        }
        // What is kept for later counts, too.
        release_memory();
        match fits() {
            true => Ok(charge),
            false => Err(ErrorKind::OutOfMemory { needed: bytes, limit: Some(memory_limit()) }),
        }
    }

    /// Counts bytes that have been taken.
    pub fn of(bytes: usize) -> Charge {
        IN_USE.fetch_add(bytes, Ordering::Relaxed);
        Charge(bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        IN_USE.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Takes memory of this many bytes by `take`; `None` of it means that the system has none left, which
/// is tried again when what is kept for later has been given back.
///
/// # Errors
/// `OutOfMemory` if the limit forbids it, or the system has none left.
pub fn take_memory<R>(
    bytes: usize,
    mut take: impl FnMut() -> Option<R>,
) -> Result<(R, Charge), ErrorKind> {
    let charge = Charge::new(bytes)?;
    let taken = take().or_else(|| {
        release_memory();
        take()
    });
    match taken {
        Some(taken) => Ok((taken, charge)),
        None => Err(ErrorKind::OutOfMemory { needed: bytes, limit: None }),
    }
}

/// Smaller arrays are left to the allocator, which keeps their memory by itself.
pub const LARGE: usize = 1 << 20;

/// Bytes that are kept, at most.
const KEPT: usize = 128 << 20;

static POOL: Mutex<VecDeque<(Buffer, Charge)>> = Mutex::new(VecDeque::new());

fn pool() -> std::sync::MutexGuard<'static, VecDeque<(Buffer, Charge)>> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer without elements that has room for `len` of them: recycled, or a new one.
///
/// # Errors
/// `SizeOverflow` for more bytes than can be addressed; `OutOfMemory` if the limit forbids them, or the
/// system has none left.
pub fn with_room(dtype: DType, len: usize) -> Result<(Buffer, Charge), ErrorKind> {
    let bytes = len.checked_mul(dtype.size()).filter(|&bytes| bytes <= isize::MAX as usize);
    let Some(bytes) = bytes else {
        return Err(ErrorKind::SizeOverflow { shape: len.into(), dtype });
    };
    if bytes >= LARGE {
        let mut pool = pool();
        let fits = |(b, _): &(Buffer, Charge)| {
            b.dtype() == dtype && (len..=len.saturating_add(len / 8)).contains(&b.capacity())
        };
        let found = pool.iter().position(fits);
        if let Some(kept) = found.and_then(|i| pool.remove(i)) {
            return Ok(kept);
        }
    }
    take_memory(bytes, || {
        with_dtype!(dtype, T => {
            let mut values: Vec<T> = Vec::new();
            values.try_reserve_exact(len).ok()?;
            Some(T::into_buffer(values))
        })
    })
}

/// A vector without elements that has room for `len` of them.
pub(crate) fn vec_with_room<T: Element>(len: usize) -> Result<Vec<T>, ErrorKind> {
    let (buffer, _) = with_room(T::DTYPE, len)?;
    Ok(T::from_buffer(buffer).unwrap_or_default())
}

/// A copy of elements.
pub(crate) fn copied<T: Element>(values: &[T]) -> Result<Vec<T>, ErrorKind> {
    let mut copy = vec_with_room(values.len())?;
    copy.extend_from_slice(values);
    Ok(copy)
}

/// Keeps room that was made for results to come.
pub(crate) fn keep_all(room: Vec<(Buffer, Charge)>) {
    room.into_iter().for_each(|(buffer, charge)| keep(buffer, charge));
}

/// Gives the memory that is kept for results to come back to the system: that of large arrays that
/// nobody holds any more, and of values in between of programs that are not running.
pub fn release_memory() {
    let kept = std::mem::take(&mut *pool());
    // The lock is free before the memory goes.
    drop(kept);
    backend::backend().release_memory();
}

fn bytes_of(buffer: &Buffer) -> usize {
    buffer.capacity() * buffer.dtype().size()
}

fn keep(mut buffer: Buffer, charge: Charge) {
    if !(LARGE..=KEPT).contains(&bytes_of(&buffer)) {
        return;
    }
    buffer.clear();
    let mut dropped = Vec::new();
    let mut pool = pool();
    pool.push_back((buffer, charge));
    while pool.iter().map(|(b, _)| bytes_of(b)).sum::<usize>() > KEPT {
        dropped.extend(pool.pop_front());
    }
    // As above.
    drop(pool);
}

/// A shared buffer whose memory is recycled when the last holder is gone.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Held>);

struct Held {
    buffer: Buffer,
    charge: Charge,
}

impl Shared {
    /// The elements with what is counted for them.
    pub fn new(buffer: Buffer, charge: Charge) -> Shared {
        Shared(Arc::new(Held { buffer, charge }))
    }

    /// Elements that somebody else took the memory for.
    pub fn of(buffer: Buffer) -> Shared {
        let charge = Charge::of(bytes_of(&buffer));
        Shared::new(buffer, charge)
    }

    /// The buffer alone, when nobody else holds it.
    pub fn try_unwrap(self) -> Result<Buffer, Shared> {
        let mut held = Arc::try_unwrap(self.0).map_err(Shared)?;
        Ok(std::mem::replace(&mut held.buffer, Buffer::Bool(Vec::new())))
    }
}

impl Deref for Shared {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.0.buffer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if bytes_of(&self.buffer) >= LARGE {
            let buffer = std::mem::replace(&mut self.buffer, Buffer::Bool(Vec::new()));
            keep(buffer, std::mem::replace(&mut self.charge, Charge(0)));
        }
    }
}

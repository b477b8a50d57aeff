//! Memory of large arrays that nobody holds any more, kept for results to come: the system hands out
//! fresh pages slower than most programs fill them.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::{Buffer, DType, Element, with_dtype};

/// Smaller arrays are left to the allocator, which keeps their memory by itself.
const LARGE: usize = 1 << 20;

/// Bytes that are kept, at most.
const KEPT: usize = 128 << 20;

static POOL: Mutex<VecDeque<Buffer>> = Mutex::new(VecDeque::new());

fn pool() -> std::sync::MutexGuard<'static, VecDeque<Buffer>> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer without elements that has room for `len` of them: recycled, or a new one.
pub fn with_room(dtype: DType, len: usize) -> Buffer {
    if len * dtype.size() >= LARGE {
        let mut pool = pool();
        let fits = |b: &Buffer| {
            b.dtype() == dtype && (len..=len.saturating_add(len / 8)).contains(&b.capacity())
        };
        let found = pool.iter().position(fits);
        if let Some(buffer) = found.and_then(|i| pool.remove(i)) {
            return buffer;
        }
    }
    with_dtype!(dtype, T => T::into_buffer(Vec::with_capacity(len)))
}

/// A vector without elements that has room for `len` of them.
pub(crate) fn vec_with_room<T: Element>(len: usize) -> Vec<T> {
    T::from_buffer(with_room(T::DTYPE, len)).unwrap_or_default()
}

/// Gives the memory that is kept for results to come back to the system: at most 128 MiB of large
/// arrays that nobody holds any more.
pub fn release_memory() {
    pool().clear();
}

fn keep(mut buffer: Buffer) {
    let bytes = |b: &Buffer| b.capacity() * b.dtype().size();
    if !(LARGE..=KEPT).contains(&bytes(&buffer)) {
        return;
    }
    buffer.clear();
    let mut dropped = Vec::new();
    let mut pool = pool();
    pool.push_back(buffer);
    while pool.iter().map(bytes).sum::<usize>() > KEPT {
        dropped.extend(pool.pop_front());
    }
    // The lock is free before the memory goes.
    drop(pool);
}

/// A shared buffer whose memory is recycled when the last holder is gone.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Buffer>);

impl Shared {
    pub fn new(buffer: Buffer) -> Shared {
        Shared(Arc::new(buffer))
    }

    pub fn arc(&self) -> &Arc<Buffer> {
        &self.0
    }

    /// The buffer alone, when nobody else holds it.
    pub fn try_unwrap(mut self) -> Result<Buffer, Arc<Buffer>> {
        Arc::try_unwrap(std::mem::replace(&mut self.0, NOTHING.clone()))
    }
}

static NOTHING: LazyLock<Arc<Buffer>> = LazyLock::new(|| Arc::new(Buffer::Bool(Vec::new())));

impl Deref for Shared {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(buffer) = Arc::get_mut(&mut self.0)
            && buffer.capacity() * buffer.dtype().size() >= LARGE
        {
            keep(std::mem::replace(buffer, Buffer::Bool(Vec::new())));
        }
    }
}

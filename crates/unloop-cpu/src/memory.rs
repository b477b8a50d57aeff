//! Memory of a run: the addresses of all values, the arena for intermediate ones, and tiles.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use unloop_graph::memory::{Charge, LARGE, take_memory, with_room};
use unloop_graph::{Array, Buffer, DType, ErrorKind, Shape};

/// Alignment of arenas and tiles: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;

/// Uninitialised aligned bytes.
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    _charge: Charge,
}

// SAFETY: a block owns its memory and has no interior mutability.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    fn new(bytes: usize) -> Result<Block, ErrorKind> {
        let ((start, layout), charge) = take_memory(bytes, || {
            let layout = Layout::from_size_align(bytes.max(ALIGN), ALIGN).ok()?;
            // SAFETY: the size is not zero.
            Some((NonNull::new(unsafe { alloc(layout) })?, layout))
        })?;
        Ok(Block { start, layout, _charge: charge })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Large blocks that nobody uses, the last used at the end.
static IDLE: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Bytes of idle blocks, at most.
const MOST_IDLE: usize = 1 << 30;

fn idle() -> std::sync::MutexGuard<'static, Vec<Block>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives idle memory back.
pub(crate) fn release() {
    let blocks = std::mem::take(&mut *idle());
    // The lock is free before the memory goes.
    drop(blocks);
}

/// Uninitialised aligned bytes that only grow. Large ones are used again, by whoever comes next.
pub(crate) struct Arena(Option<Block>);

impl Arena {
    pub fn new() -> Arena {
        Arena(None)
    }

    /// The start of at least `bytes` bytes; what was there before may be lost.
    pub fn reserve(&mut self, bytes: usize) -> Result<*mut u8, ErrorKind> {
        if let Some(block) = self.0.as_ref().filter(|block| block.layout.size() >= bytes) {
            return Ok(block.start.as_ptr());
        }
        self.give_back();
        let found = (bytes >= LARGE).then(|| {
            let mut idle = idle();
            let fits = |b: &Block| (bytes..=bytes.saturating_mul(2)).contains(&b.layout.size());
            idle.iter().rposition(fits).map(|i| idle.remove(i))
        });
        let block = match found.flatten() {
            Some(block) => block,
            None => Block::new(bytes)?,
        };
        Ok(self.0.insert(block).start.as_ptr())
    }

    fn give_back(&mut self) {
        let Some(block) = self.0.take() else { return };
        let size = |block: &Block| block.layout.size();
        if !(LARGE..=MOST_IDLE).contains(&size(&block)) {
            return;
        }
        let mut dropped = Vec::new();
        let mut idle = idle();
        idle.push(block);
        while idle.iter().map(size).sum::<usize>() > MOST_IDLE {
            dropped.push(idle.remove(0));
        }
        // As above.
        drop(idle);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.give_back();
    }
}

thread_local! {
    static SCRATCH: Cell<Option<Arena>> = const { Cell::new(None) };
}

/// Runs `f` with at least `bytes` bytes of this thread's scratch memory.
pub(crate) fn with_scratch<R>(bytes: usize, f: impl FnOnce(*mut u8) -> R) -> Result<R, ErrorKind> {
    if bytes >= LARGE {
        let mut arena = Arena::new();
        return Ok(f(arena.reserve(bytes)?));
    }
    // A nested use (work stolen while waiting) finds none and makes its own.
    let mut arena = SCRATCH.take().unwrap_or_else(Arena::new);
    let result = f(arena.reserve(bytes.max(ALIGN))?);
    SCRATCH.set(Some(arena));
    Ok(result)
}

/// What counts of a thread's scratch memory: small ones stay with their threads.
pub(crate) fn counted_scratch(bytes: usize) -> usize {
    if bytes >= LARGE { bytes } else { 0 }
}

/// A vector under construction, to be filled through its address.
pub(crate) struct Output {
    buffer: Buffer,
    charge: Charge,
    len: usize,
}

impl Output {
    pub fn new(dtype: DType, len: usize) -> Result<Output, ErrorKind> {
        let (buffer, charge) = with_room(dtype, len)?;
        Ok(Output { buffer, charge, len })
    }

    pub fn as_ptr(&self) -> *mut u8 {
        self.buffer.as_ptr().cast_mut()
    }

    /// The filled vector as an array.
    ///
    /// # Safety
    /// All elements have been written.
    pub unsafe fn finish(mut self, shape: Shape) -> Array {
        // SAFETY: the capacity is at least `len`, and the caller has written all elements.
        unsafe {
            match &mut self.buffer {
                Buffer::Bool(v) => v.set_len(self.len),
                Buffer::I32(v) => v.set_len(self.len),
                Buffer::I64(v) => v.set_len(self.len),
                Buffer::U32(v) => v.set_len(self.len),
                Buffer::F32(v) => v.set_len(self.len),
                Buffer::F64(v) => v.set_len(self.len),
            }
        }
        Array::from_room(shape, self.buffer, self.charge)
    }
}

/// The addresses of the values in memory during a run.
#[derive(Clone, Copy)]
pub(crate) struct Addresses<'a>(pub &'a [*mut u8]);

// SAFETY: steps write disjoint parts of what they write, and nobody else writes what they read.
unsafe impl Send for Addresses<'_> {}
// SAFETY: as above.
unsafe impl Sync for Addresses<'_> {}

impl Addresses<'_> {
    /// The address of a buffer's first element.
    pub fn of(&self, buffer: usize) -> *mut u8 {
        self.0[buffer]
    }
}

/// An address that may be shared among threads that write disjoint parts.
#[derive(Clone, Copy)]
pub(crate) struct SharedPtr(pub *mut u8);

// SAFETY: users write disjoint parts.
unsafe impl Send for SharedPtr {}
// SAFETY: as above.
unsafe impl Sync for SharedPtr {}

impl SharedPtr {
    /// The address; a method, so that closures capture the whole wrapper.
    pub fn get(self) -> *mut u8 {
        self.0
    }
}

//! Memory of a run: the addresses of all values, the arena for intermediate ones, and tiles.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

use unloop_graph::{Buffer, DType, with_room};

/// Alignment of arenas and tiles: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;

/// Uninitialised aligned bytes that only grow.
pub(crate) struct Arena {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: an arena owns its memory and has no interior mutability.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    pub fn new() -> Arena {
        Arena { start: NonNull::dangling(), bytes: 0 }
    }

    /// The start of at least `bytes` bytes; what was there before may be lost.
    pub fn reserve(&mut self, bytes: usize) -> *mut u8 {
        if bytes > self.bytes {
            *self = Arena::new();
            // A size that overflows here has been refused as a shape before.
            let layout = Layout::from_size_align(bytes, ALIGN).unwrap_or(Layout::new::<u8>());
            // SAFETY: the size is not zero.
            let start = unsafe { alloc(layout) };
            match NonNull::new(start) {
                Some(start) => *self = Arena { start, bytes },
                None => handle_alloc_error(layout),
            }
        }
        self.start.as_ptr()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: allocated in `reserve` with this layout.
            unsafe {
                let layout = Layout::from_size_align_unchecked(self.bytes, ALIGN);
                dealloc(self.start.as_ptr(), layout);
            }
        }
    }
}

thread_local! {
    static SCRATCH: Cell<Option<Arena>> = const { Cell::new(None) };
}

/// Runs `f` with at least `bytes` bytes of this thread's scratch memory.
pub(crate) fn with_scratch<R>(bytes: usize, f: impl FnOnce(*mut u8) -> R) -> R {
    // A nested use (work stolen while waiting) finds none and makes its own.
    let mut arena = SCRATCH.take().unwrap_or_else(Arena::new);
    let result = f(arena.reserve(bytes.max(ALIGN)));
    SCRATCH.set(Some(arena));
    result
}

/// A vector under construction, to be filled through its address.
pub(crate) struct Output {
    buffer: Buffer,
    len: usize,
}

impl Output {
    pub fn new(dtype: DType, len: usize) -> Output {
        Output { buffer: with_room(dtype, len), len }
    }

    pub fn as_ptr(&self) -> *mut u8 {
        self.buffer.as_ptr().cast_mut()
    }

    /// The filled vector.
    ///
    /// # Safety
    /// All elements have been written.
    pub unsafe fn finish(mut self) -> Buffer {
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
        self.buffer
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

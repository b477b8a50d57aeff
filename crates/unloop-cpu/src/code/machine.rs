//! What the machine code of a processor is made of: the one thing that differs between architectures.

use unloop_graph::DType;
use unloop_kernel::Expr;

/// The number of a vector register.
pub(super) type Reg = u8;

/// Bytes of a vector, and of what a frame keeps of a value.
pub(super) const VECTOR: usize = 32;

/// How many examples a vector holds, and how wide the widest of their numbers is. Narrower numbers take the
/// first part of a vector; truths are masks as wide as the widest number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lanes {
    /// One: only the first lane counts, and is read and written.
    pub count: usize,
    /// Bytes of the widest number.
    pub element: usize,
}

/// Where an integer lies that loops count with: an address or a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Register(u8),
    /// So many bytes into the frame.
    Frame(i32),
}

/// Where a vector lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    Reg(Reg),
    /// So many bytes into the frame.
    Frame(i32),
    /// So many bytes into the constants.
    Constant(i32),
}

/// An element of memory: so many bytes from an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub base: Place,
    pub offset: i32,
}

/// How the elements of the lanes lie in memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spread {
    /// A whole vector that lanes keep for themselves.
    Own,
    /// So many bytes from each other.
    Bytes(isize),
}

/// Why a comparison of integers jumps.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Less,
    GreaterOrEqual,
    Greater,
}

/// What an integer is compared with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    Number(i64),
    At(Place),
}

/// A place in the code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(pub u32);

/// What is called on vectors in memory: a tile function.
pub(super) struct Call {
    pub f: crate::simd::TileFn,
    pub result: Source,
    pub operands: [Source; 3],
}

/// An assembler of one architecture.
pub(super) trait Machine: Sized {
    /// Vector registers that values may lie in.
    const REGISTERS: usize;

    fn new(lanes: Lanes) -> Self;
    /// The registers of integers that are free for loops; `calls` says whether anything is called.
    fn integers(calls: bool) -> &'static [u8];
    /// From now on so many examples at once.
    fn set_lanes(&mut self, lanes: Lanes);

    /// The entry: the addresses of the buffers and of the frame come as [`Args`].
    fn begin(&mut self);
    /// The end of what runs, with what is behind it; the code and its constants.
    fn finish(self, limits: &[Label]) -> Option<(Vec<u8>, Vec<u8>)>;

    fn label(&mut self) -> Label;
    fn bind(&mut self, label: Label);
    fn jump(&mut self, to: Label);
    /// Jumps by `place + plus` and the limit.
    fn jump_if(&mut self, place: Place, plus: i32, when: When, limit: Limit, to: Label);
    /// Jumps if a truth holds in no lane.
    fn jump_if_none(&mut self, truth: Reg, to: Label);
    /// Asks now and then whether anybody wants the result; ends if not.
    fn poll(&mut self);

    /// A field of [`Args`], in words.
    fn argument(&mut self, to: Place, field: usize);
    /// The address of a buffer.
    fn buffer(&mut self, to: Place, buffer: usize);
    /// The address of a part of the frame.
    fn frame(&mut self, to: Place, offset: i32);
    fn number(&mut self, to: Place, value: i64);
    /// `to = from + scale·index`.
    fn scaled(&mut self, to: Place, from: Place, index: Place, scale: i64);
    /// `to = from + value`.
    fn plus(&mut self, to: Place, from: Place, value: i64);

    /// The offset of a number that all lanes have, among the constants.
    fn constant(&mut self, bits: u64, dtype: DType) -> i32;
    fn copy(&mut self, to: Source, from: Source);
    fn load(&mut self, to: Reg, from: Address, spread: Spread, dtype: DType);
    /// The same where a mask is true; elsewhere a constant.
    fn load_masked(&mut self, to: Reg, from: Address, mask: Reg, otherwise: i32, dtype: DType);
    fn store(&mut self, to: Address, spread: Spread, value: Reg, dtype: DType);
    /// `offset + scale·position` as numbers; `along` says whether each lane has a position of its own.
    fn count(
        &mut self,
        to: Reg,
        position: Place,
        scale: i64,
        offset: i64,
        along: bool,
        dtype: DType,
    );

    /// Whether [`Machine::compute`] has an expression, of an operand of a dtype.
    fn has(expr: &Expr, dtype: DType, of: DType) -> bool;
    /// Computes an expression, of its dtype and its operands', of operands of which the second may lie in
    /// memory. The result lies where no operand does.
    fn compute(&mut self, expr: &Expr, dtypes: [DType; 2], to: Reg, operands: (Reg, Source, Reg));
    /// `truth ? yes : no`.
    fn blend(&mut self, to: Reg, truth: Reg, yes: Source, no: Reg, dtype: DType);
    /// Booleans as bytes, for a call and back.
    fn to_bytes(&mut self, to: i32, value: Reg);
    fn of_bytes(&mut self, to: Reg, from: i32);
    fn call(&mut self, call: &Call);
}

/// What code is called with.
#[repr(C)]
pub(super) struct Args {
    pub buffers: *const *mut u8,
    pub frame: *mut u8,
    pub constants: *const u8,
    /// The first position and the one past the last, of the outermost loop and of the lanes.
    pub outer: [usize; 2],
    pub lanes: [usize; 2],
}

/// The fields of [`Args`] in words.
pub(super) const OUTER: usize = 3;
pub(super) const LANES: usize = 5;

/// What code returns: that all is done, that nobody wants it, or, from here on, which loop has run too
/// often.
pub(super) const DONE: u64 = 0;
pub(super) const CANCELLED: u64 = 1;
pub(super) const LIMIT: u64 = 2;

/// Bytes at the start of a frame that the machine keeps for itself.
pub(super) const RESERVED: usize = 1024;

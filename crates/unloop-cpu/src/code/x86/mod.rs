//! Machine code of x86-64 with AVX2.

mod arith;
mod memory;

use asmkit::{Label as Target, Operand, OperandCast};
use std::vec::Vec;

use asmkit::x86::*;
use asmkit::{Arch, CodeBuffer, Environment};
use unloop_graph::{BinaryOp, DType, UnaryOp, cancel};
use unloop_kernel::Expr;

use super::machine::{
    Address, CANCELLED, Call, DONE, LIMIT, Label, Lanes, Limit, Machine, Place, Reg, Source,
    Spread, VECTOR, When,
};
use crate::simd::TileFn;

/// Vector registers for steps of one expression.
const T0: Reg = 13;
const T1: Reg = 14;
const T2: Reg = 15;

/// The frame and the constants.
const FRAME: Gpq = RBX;
const CONSTANTS: Gpq = RBP;

/// Words of the frame: the arguments, and how many runs of loops there are until somebody is asked.
const ARGS: i32 = 0;
const RUNS: i32 = 8;
/// Where registers lie while somebody is asked.
const SAVED_VECTORS: i32 = 64;
const SAVED_INTEGERS: i32 = SAVED_VECTORS + 16 * VECTOR as i32;

/// Runs of loops after which somebody is asked whether the result is wanted: some ten microseconds.
const ASK: i32 = 4096;

pub(super) struct X86 {
    buffer: CodeBuffer,
    constants: Vec<u8>,
    lanes: Lanes,
    end: Target,
    ask: Target,
    labels: Vec<Target>,
}

fn gp(n: u8) -> Gpq {
    Gpq::from_id(n.into())
}

/// Whether the work of this thread is still wanted.
extern "C" fn is_cancelled() -> u64 {
    u64::from(cancel::check().is_err())
}

/// # Safety
/// As of a [`TileFn`], whose address the first one is: what Rust calls a function by is not known to code.
unsafe extern "C" fn call(
    f: *const (),
    dst: *mut u8,
    a: *const u8,
    b: *const u8,
    c: *const u8,
    n: usize,
) {
    // SAFETY: as the caller's; the address came from a function of this type.
    unsafe { std::mem::transmute::<*const (), TileFn>(f)(dst, a, b, c, n) }
}

/// Operands of an instruction.
macro_rules! ops {
    ($($operand:expr),* $(,)?) => { &[$($operand.as_operand()),*] };
}
use ops;

/// An instruction for numbers of four and of eight bytes.
type Pair = (InstId, InstId);

impl X86 {
    fn asm(&mut self) -> Assembler<'_> {
        Assembler::new(&mut self.buffer)
    }

    fn emit(&mut self, id: InstId, operands: &[&Operand]) {
        self.asm().emit_n(id as u32, operands);
    }

    /// Bytes of a vector of numbers of some bytes.
    fn bytes(&self, size: usize) -> usize {
        if self.lanes.count == 1 { 16 } else { self.lanes.count * size }
    }

    /// A register, as wide as numbers of some bytes need it.
    fn reg(&self, r: Reg, size: usize) -> Operand {
        match self.bytes(size) {
            32 => *Ymm::from_id(r.into()).as_operand(),
            _ => *Xmm::from_id(r.into()).as_operand(),
        }
    }

    fn source(&self, x: Source, size: usize) -> Operand {
        let bytes = self.bytes(size) as u32;
        match x {
            Source::Reg(r) => self.reg(r, size),
            Source::Frame(at) => *ptr(FRAME, at, bytes).as_operand(),
            Source::Constant(at) => *ptr(CONSTANTS, at, bytes).as_operand(),
        }
    }

    /// `to = a op b`.
    fn three(&mut self, id: InstId, to: Reg, a: Reg, b: Source, size: usize) {
        let (to, a, b) = (self.reg(to, size), self.reg(a, size), self.source(b, size));
        self.emit(id, ops![to, a, b]);
    }

    fn both(&mut self, (four, eight): Pair, to: Reg, a: Reg, b: Source, size: usize) {
        self.three(if size == 4 { four } else { eight }, to, a, b, size);
    }

    fn two(&mut self, id: InstId, to: Reg, a: Source, size: usize) {
        let (to, a) = (self.reg(to, size), self.source(a, size));
        self.emit(id, ops![to, a]);
    }

    fn with_number(&mut self, id: InstId, to: Reg, a: Reg, number: i32, size: usize) {
        let (to, a) = (self.reg(to, size), self.reg(a, size));
        self.emit(id, ops![to, a, imm(number)]);
    }

    /// The address of a lane; `rax` may be spoilt.
    fn address(&mut self, at: Address, more: isize, bytes: usize) -> Option<Mem> {
        let base = match at.base {
            Place::Register(r) => gp(r),
            Place::Frame(offset) => {
                self.asm().mov(RAX, qword_ptr(FRAME, offset));
                RAX
            }
        };
        let offset = i32::try_from(at.offset as isize + more);
        match offset {
            Ok(offset) => Some(ptr(base, offset, bytes as u32)),
            Err(_) => unreachable!("offsets are checked before code is made"),
        }
    }

    fn mem(&mut self, at: Address, more: isize, bytes: usize) -> Mem {
        match self.address(at, more, bytes) {
            Some(mem) => mem,
            None => unreachable!("an address has a base"),
        }
    }

    /// Loads an integer into `to`.
    fn integer_of(&mut self, to: Gpq, from: Place) {
        match from {
            Place::Register(r) => self.asm().mov(to, gp(r)),
            Place::Frame(at) => self.asm().mov(to, qword_ptr(FRAME, at)),
        }
    }

    fn put_integer(&mut self, to: Place, from: Gpq) {
        match to {
            Place::Register(r) => self.asm().mov(gp(r), from),
            Place::Frame(at) => self.asm().mov(qword_ptr(FRAME, at), from),
        }
    }

    fn add_number(&mut self, to: Gpq, value: i64) {
        match i32::try_from(value) {
            Ok(0) => {}
            Ok(value) => self.asm().add(to, imm(value)),
            Err(_) => {
                // The only other register that nobody keeps anything in.
                self.asm().mov(qword_ptr(FRAME, SAVED_INTEGERS), RCX);
                self.asm().mov(RCX, imm(value));
                self.asm().add(to, RCX);
                self.asm().mov(RCX, qword_ptr(FRAME, SAVED_INTEGERS));
            }
        }
    }
}

/// Registers of integers that loops may keep, all and those that calls leave alone.
const INTEGERS: [u8; 12] = [1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const KEPT: [u8; 4] = [12, 13, 14, 15];

/// What is pushed at the entry.
const PUSHED: [Gpq; 6] = [RBX, RBP, R12, R13, R14, R15];

impl Machine for X86 {
    const REGISTERS: usize = 13;

    fn new(lanes: Lanes) -> X86 {
        let mut buffer = CodeBuffer::new(Environment::new(Arch::X64));
        let (end, ask) = (buffer.get_label(), buffer.get_label());
        X86 { buffer, constants: Vec::new(), lanes, end, ask, labels: Vec::new() }
    }

    fn integers(calls: bool) -> &'static [u8] {
        if calls { &KEPT } else { &INTEGERS }
    }

    fn set_lanes(&mut self, lanes: Lanes) {
        self.lanes = lanes;
    }

    fn begin(&mut self) {
        let mut asm = self.asm();
        PUSHED.iter().for_each(|r| asm.push(*r));
        asm.sub(RSP, imm(8));
        asm.mov(FRAME, qword_ptr(RDI, 8));
        asm.mov(CONSTANTS, qword_ptr(RDI, 16));
        asm.mov(qword_ptr(FRAME, ARGS), RDI);
        asm.mov(RAX, imm(ASK));
        asm.mov(qword_ptr(FRAME, RUNS), RAX);
    }

    fn finish(mut self, limits: &[Label]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (end, ask) = (self.end, self.ask);
        let limits: Vec<_> = limits.iter().map(|label| self.labels[label.0 as usize]).collect();
        let mut asm = self.asm();
        asm.mov(RAX, imm(DONE as i32));
        asm.bind_label(end);
        asm.emit_n(InstId::Vzeroupper as u32, &[]);
        asm.add(RSP, imm(8));
        PUSHED.iter().rev().for_each(|r| asm.pop(*r));
        asm.ret();
        for (i, label) in limits.into_iter().enumerate() {
            asm.bind_label(label);
            asm.mov(RAX, imm((LIMIT + i as u64) as i32));
            asm.jmp(end);
        }
        // Asks with all registers saved.
        asm.bind_label(ask);
        let vector = |i: i32| ptr(FRAME, SAVED_VECTORS + i * VECTOR as i32, VECTOR as u32);
        let saved: Vec<(Gpq, Mem)> = (INTEGERS.iter().enumerate())
            .map(|(i, &r)| (gp(r), qword_ptr(FRAME, SAVED_INTEGERS + 8 * i as i32)))
            .collect();
        for i in 0..16 {
            let register = Ymm::from_id(i as u32);
            asm.emit_n(InstId::Vmovups as u32, ops![vector(i), register]);
        }
        saved.iter().for_each(|(r, at)| asm.mov(*at, *r));
        asm.emit_n(InstId::Vzeroupper as u32, &[]);
        asm.sub(RSP, imm(8));
        asm.mov(RAX, imm(is_cancelled as extern "C" fn() -> u64 as usize as i64));
        asm.call(RAX);
        asm.add(RSP, imm(8));
        for i in 0..16 {
            let register = Ymm::from_id(i as u32);
            asm.emit_n(InstId::Vmovups as u32, ops![register, vector(i)]);
        }
        saved.iter().for_each(|(r, at)| asm.mov(*r, *at));
        let wanted = asm.get_label();
        asm.emit_n(InstId::Test as u32, ops![RAX, RAX]);
        asm.jz(wanted);
        // Past the return address.
        asm.add(RSP, imm(8));
        asm.mov(RAX, imm(CANCELLED as i32));
        asm.jmp(end);
        asm.bind_label(wanted);
        asm.mov(RAX, imm(ASK));
        asm.mov(qword_ptr(FRAME, RUNS), RAX);
        asm.ret();
        let code = self.buffer.finish().ok()?;
        Some((code.data().to_vec(), self.constants))
    }

    fn label(&mut self) -> Label {
        let label = self.buffer.get_label();
        self.labels.push(label);
        Label(self.labels.len() as u32 - 1)
    }

    fn bind(&mut self, label: Label) {
        let label = self.labels[label.0 as usize];
        self.asm().bind_label(label);
    }

    fn jump(&mut self, to: Label) {
        let to = self.labels[to.0 as usize];
        self.asm().jmp(to);
    }

    fn jump_if(&mut self, place: Place, plus: i32, when: When, limit: Limit, to: Label) {
        let to = self.labels[to.0 as usize];
        self.integer_of(RAX, place);
        if plus != 0 {
            self.asm().add(RAX, imm(plus));
        }
        match limit {
            Limit::Number(n) => match i32::try_from(n) {
                Ok(n) => self.asm().cmp(RAX, imm(n)),
                Err(_) => {
                    let at = self.constant(n as u64, DType::I64);
                    self.asm().cmp(RAX, qword_ptr(CONSTANTS, at));
                }
            },
            Limit::At(Place::Register(r)) => self.asm().cmp(RAX, gp(r)),
            Limit::At(Place::Frame(at)) => self.asm().cmp(RAX, qword_ptr(FRAME, at)),
        }
        match when {
            When::Less => self.asm().jl(to),
            When::GreaterOrEqual => self.asm().jnl(to),
            When::Greater => self.asm().jnle(to),
        }
    }

    fn jump_if_none(&mut self, truth: Reg, to: Label) {
        let to = self.labels[to.0 as usize];
        let id = if self.lanes.element == 4 { InstId::Vmovmskps } else { InstId::Vmovmskpd };
        let mask = self.reg(truth, self.lanes.element);
        self.emit(id, ops![EAX, mask]);
        if self.lanes.count == 1 {
            self.asm().and_(RAX, imm(1));
        }
        let mut asm = self.asm();
        asm.emit_n(InstId::Test as u32, ops![EAX, EAX]);
        asm.jz(to);
    }

    fn poll(&mut self) {
        let ask = self.ask;
        let mut asm = self.asm();
        let on = asm.get_label();
        asm.emit_n(InstId::Sub as u32, ops![qword_ptr(FRAME, RUNS), imm(1)]);
        asm.jnz(on);
        asm.call(ask);
        asm.bind_label(on);
    }

    fn argument(&mut self, to: Place, field: usize) {
        self.asm().mov(RAX, qword_ptr(FRAME, ARGS));
        self.asm().mov(RAX, qword_ptr(RAX, 8 * field as i32));
        self.put_integer(to, RAX);
    }

    fn buffer(&mut self, to: Place, buffer: usize) {
        self.asm().mov(RAX, qword_ptr(FRAME, ARGS));
        self.asm().mov(RAX, qword_ptr(RAX, 0));
        self.asm().mov(RAX, qword_ptr(RAX, 8 * buffer as i32));
        self.put_integer(to, RAX);
    }

    fn frame(&mut self, to: Place, offset: i32) {
        self.asm().mov(RAX, FRAME);
        self.asm().add(RAX, imm(offset));
        self.put_integer(to, RAX);
    }

    fn number(&mut self, to: Place, value: i64) {
        self.asm().mov(RAX, imm(value));
        self.put_integer(to, RAX);
    }

    fn scaled(&mut self, to: Place, from: Place, index: Place, scale: i64) {
        self.integer_of(RAX, index);
        match i32::try_from(scale) {
            Ok(scale) => {
                let factor = imm(scale);
                self.emit(InstId::Imul, ops![RAX, RAX, factor]);
            }
            Err(_) => {
                let at = self.constant(scale as u64, DType::I64);
                self.emit(InstId::Imul, ops![RAX, qword_ptr(CONSTANTS, at)]);
            }
        }
        match from {
            Place::Register(r) => self.asm().add(RAX, gp(r)),
            Place::Frame(at) => self.asm().add(RAX, qword_ptr(FRAME, at)),
        }
        self.put_integer(to, RAX);
    }

    fn plus(&mut self, to: Place, from: Place, value: i64) {
        match (to, from) {
            (Place::Register(a), Place::Register(b)) if a == b => self.add_number(gp(a), value),
            _ => {
                self.integer_of(RAX, from);
                self.add_number(RAX, value);
                self.put_integer(to, RAX);
            }
        }
    }

    fn constant(&mut self, bits: u64, dtype: DType) -> i32 {
        let whole: Vec<u8> = match dtype {
            DType::Bool => vec![if bits == 0 { 0 } else { 0xff }; VECTOR],
            dtype if dtype.size() == 4 => (bits as u32).to_le_bytes().repeat(VECTOR / 4),
            _ => bits.to_le_bytes().repeat(VECTOR / 8),
        };
        let known = self.constants.chunks_exact(VECTOR).position(|other| other == whole);
        let number = known.unwrap_or_else(|| {
            self.constants.extend(whole);
            self.constants.len() / VECTOR - 1
        });
        (number * VECTOR) as i32
    }

    fn copy(&mut self, to: Source, from: Source) {
        // Whole vectors, whatever lies in them; one lane needs the first half only.
        let size = VECTOR / self.lanes.count.max(1);
        let (size, id) = (if self.lanes.count == 1 { 16 } else { size }, InstId::Vmovups);
        match (to, from) {
            (to, from) if to == from => {}
            (Source::Reg(_), _) | (_, Source::Reg(_)) => {
                let (to, from) = (self.source(to, size), self.source(from, size));
                self.emit(id, ops![to, from]);
            }
            _ => {
                self.copy(Source::Reg(T0), from);
                self.copy(to, Source::Reg(T0));
            }
        }
    }

    fn load(&mut self, to: Reg, from: Address, spread: Spread, dtype: DType) {
        self.load_elements(to, from, spread, dtype);
    }

    fn load_masked(&mut self, to: Reg, from: Address, mask: Reg, otherwise: i32, dtype: DType) {
        self.load_where(to, from, mask, otherwise, dtype);
    }

    fn store(&mut self, to: Address, spread: Spread, value: Reg, dtype: DType) {
        self.store_elements(to, spread, value, dtype);
    }

    fn count(
        &mut self,
        to: Reg,
        position: Place,
        scale: i64,
        offset: i64,
        along: bool,
        dtype: DType,
    ) {
        use InstId::*;
        // Floats are made of integers of four bytes.
        let size = if dtype.is_float() { 4 } else { dtype.size() };
        self.integer_of(RAX, position);
        let factor = self.integer_in_memory(scale);
        self.emit(Imul, ops![RAX, factor]);
        let more = self.integer_in_memory(offset);
        self.emit(Add, ops![RAX, more]);
        let first = Xmm::from_id(T0.into());
        self.emit(Vmovq, ops![first, RAX]);
        let (id, all) = (if size == 4 { Vpbroadcastd } else { Vpbroadcastq }, self.reg(T0, size));
        self.emit(id, ops![all, first]);
        if along && self.lanes.count > 1 {
            let mut steps = vec![0u8; VECTOR];
            for k in 0..self.lanes.count {
                let step = (k as i64 * scale).to_le_bytes();
                steps[k * size..(k + 1) * size].copy_from_slice(&step[..size]);
            }
            let at = self.constants.len() as i32;
            self.constants.extend(steps);
            self.both((Vpaddd, Vpaddq), T0, T0, Source::Constant(at), size);
        }
        match dtype {
            DType::F32 => self.two(Vcvtdq2ps, to, Source::Reg(T0), 4),
            DType::F64 => self.across(Vcvtdq2pd, to, T0),
            _ => self.copy(Source::Reg(to), Source::Reg(T0)),
        }
    }

    fn has(expr: &Expr, dtype: DType, of: DType) -> bool {
        use BinaryOp::*;
        match expr {
            Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } | Expr::Carried(_) => true,
            Expr::Compare(..) | Expr::Select(..) | Expr::Clamp(..) | Expr::Bitcast(..) => true,
            Expr::Unary(op, _) => matches!(
                op,
                UnaryOp::Neg
                    | UnaryOp::Abs
                    | UnaryOp::Sign
                    | UnaryOp::Square
                    | UnaryOp::Not
                    | UnaryOp::Floor
                    | UnaryOp::Ceil
                    | UnaryOp::Round
                    | UnaryOp::RoundAway
                    | UnaryOp::Trunc
                    | UnaryOp::Sqrt
                    | UnaryOp::Rsqrt
                    | UnaryOp::Reciprocal
                    | UnaryOp::IsFinite
            ),
            Expr::Binary(op, ..) => match op {
                Add | Sub | Mul | Max | Min | And | Or | Xor | ShiftLeft | ShiftRightLogical => {
                    true
                }
                Div => dtype.is_float(),
                ShiftRightArithmetic => dtype.size() == 4,
                _ => false,
            },
            Expr::Convert(..) => {
                use DType::{Bool, F32, F64, I32, I64, U32};
                of == dtype
                    || of == Bool
                    || dtype == Bool
                    || matches!(
                        (of, dtype),
                        (I32, U32 | F32 | F64 | I64)
                            | (U32, I32 | I64)
                            | (I64, I32 | U32)
                            | (F32, F64 | I32)
                            | (F64, F32 | I32)
                    )
            }
        }
    }

    fn compute(
        &mut self,
        expr: &Expr,
        [dtype, of]: [DType; 2],
        to: Reg,
        (a, b, c): (Reg, Source, Reg),
    ) {
        match *expr {
            Expr::Unary(op, _) => self.unary(op, of, to, a),
            Expr::Binary(op, ..) => self.binary(op, dtype, to, a, b),
            Expr::Compare(op, ..) => self.comparison(op, of, to, a, b),
            Expr::Select(..) => self.blend(to, a, b, c, dtype),
            Expr::Clamp(..) => {
                // `min(max(x, low), high)`: the operands are low, x, high.
                let x = match b {
                    Source::Reg(x) => x,
                    memory => {
                        self.copy(Source::Reg(to), memory);
                        to
                    }
                };
                self.binary(BinaryOp::Max, dtype, to, x, Source::Reg(a));
                self.binary(BinaryOp::Min, dtype, to, to, Source::Reg(c));
            }
            Expr::Convert(into, _) => self.convert(into, of, to, a),
            Expr::Bitcast(..) => self.copy(Source::Reg(to), Source::Reg(a)),
            Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } | Expr::Carried(_) => {
                unreachable!("{expr:?} is not computed")
            }
        }
    }

    fn blend(&mut self, to: Reg, truth: Reg, yes: Source, no: Reg, dtype: DType) {
        let size = if dtype == DType::Bool { self.lanes.element } else { dtype.size() };
        let mask = self.narrow(T0, truth, size);
        self.choose(to, no, yes, mask, size);
    }

    fn to_bytes(&mut self, to: i32, value: Reg) {
        if self.lanes.count == 1 {
            let low = Xmm::from_id(T0.into());
            self.emit(InstId::Vpabsb, ops![low, Xmm::from_id(value.into())]);
        } else {
            self.packed(T0, value);
        }
        self.emit(InstId::Vmovq, ops![qword_ptr(FRAME, to), Xmm::from_id(T0.into())]);
    }

    fn of_bytes(&mut self, to: Reg, from: i32) {
        let at = ptr(FRAME, from, self.lanes.count as u32);
        self.unpacked(to, at);
    }

    fn call(&mut self, call: &Call) {
        let count = self.lanes.count as i32;
        let address = |asm: &mut Assembler<'_>, to: Gpq, source: Source| match source {
            Source::Frame(at) => {
                asm.mov(to, FRAME);
                asm.add(to, imm(at));
            }
            Source::Constant(at) => {
                asm.mov(to, CONSTANTS);
                asm.add(to, imm(at));
            }
            Source::Reg(_) => unreachable!("what is called reads memory"),
        };
        let mut asm = self.asm();
        asm.mov(RDI, imm(call.f as usize as i64));
        address(&mut asm, RSI, call.result);
        for (to, source) in [RDX, RCX, R8].into_iter().zip(call.operands) {
            address(&mut asm, to, source);
        }
        asm.mov(R9, imm(count));
        asm.mov(RAX, imm(self::call as *const () as usize as i64));
        asm.emit_n(InstId::Vzeroupper as u32, &[]);
        asm.call(RAX);
    }
}

impl X86 {
    fn integer_in_memory(&mut self, value: i64) -> Mem {
        let at = self.constant(value as u64, DType::I64);
        qword_ptr(CONSTANTS, at)
    }
}

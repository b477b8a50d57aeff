//! Arithmetic, comparisons and conversions, with the bits that the tile machine's have.

use asmkit::OperandCast;
use asmkit::x86::*;
use unloop_graph::{BinaryOp, CompareOp, DType, UnaryOp};

use super::{T0, T1, T2, X86, ops};
use crate::code::machine::{Machine, Reg, Source};

impl X86 {
    /// The maximum or minimum, with zeros and NaN as the operation has them.
    pub(super) fn extreme(&mut self, is_max: bool, to: Reg, a: Reg, b: Source, size: usize) {
        use InstId::*;
        let op = if is_max { (Vmaxps, Vmaxpd) } else { (Vminps, Vminpd) };
        let b = match b {
            Source::Reg(b) => b,
            memory => {
                self.copy(Source::Reg(T2), memory);
                T2
            }
        };
        // Both give their second operand for equal numbers: zeros of either sign. And for NaN.
        self.both(op, T0, a, Source::Reg(b), size);
        self.both(op, T1, b, Source::Reg(a), size);
        let join = if is_max { (Vandps, Vandpd) } else { (Vorps, Vorpd) };
        self.both(join, T0, T0, Source::Reg(T1), size);
        self.both((Vaddps, Vaddpd), T1, a, Source::Reg(b), size);
        self.compare(T2, a, Source::Reg(b), 3, size);
        self.choose(to, T0, Source::Reg(T1), T2, size);
    }

    pub(super) fn unary(&mut self, op: UnaryOp, dtype: DType, to: Reg, a: Reg) {
        use InstId::*;
        let size = dtype.size();
        let from = Source::Reg(a);
        match (op, dtype) {
            (UnaryOp::Not, DType::Bool) => {
                self.three(Vpcmpeqd, T0, T0, Source::Reg(T0), self.lanes.element);
                self.three(Vpxor, to, a, Source::Reg(T0), self.lanes.element);
            }
            (op, DType::F32 | DType::F64) => match op {
                UnaryOp::Neg => {
                    let sign = self.sign_bit(size);
                    self.both((Vxorps, Vxorpd), to, a, sign, size);
                }
                UnaryOp::Abs => {
                    let bits = self.magnitude_bits(size);
                    self.both((Vandps, Vandpd), to, a, bits, size);
                }
                UnaryOp::Sqrt => {
                    self.two(if size == 4 { Vsqrtps } else { Vsqrtpd }, to, from, size)
                }
                UnaryOp::Rsqrt => {
                    self.two(if size == 4 { Vsqrtps } else { Vsqrtpd }, T0, from, size);
                    let one = self.float(1.0, size);
                    self.copy(Source::Reg(T1), one);
                    self.both((Vdivps, Vdivpd), to, T1, Source::Reg(T0), size);
                }
                UnaryOp::Reciprocal => {
                    let one = self.float(1.0, size);
                    self.copy(Source::Reg(T0), one);
                    self.both((Vdivps, Vdivpd), to, T0, from, size);
                }
                UnaryOp::Square => self.both((Vmulps, Vmulpd), to, a, from, size),
                UnaryOp::Round | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc => {
                    let how = match op {
                        UnaryOp::Round => 8,
                        UnaryOp::Floor => 9,
                        UnaryOp::Ceil => 10,
                        _ => 11,
                    };
                    let id = if size == 4 { Vroundps } else { Vroundpd };
                    self.with_number(id, to, a, how, size);
                }
                UnaryOp::RoundAway => {
                    let id = if size == 4 { Vroundps } else { Vroundpd };
                    self.with_number(id, T0, a, 11, size);
                    self.both((Vsubps, Vsubpd), T1, a, Source::Reg(T0), size);
                    let bits = self.magnitude_bits(size);
                    self.both((Vandps, Vandpd), T1, T1, bits, size);
                    self.both((Vandps, Vandpd), T0, T0, bits, size);
                    let (half, one) = (self.float(0.5, size), self.float(1.0, size));
                    self.compare(T1, T1, half, 29, size);
                    self.both((Vandps, Vandpd), T1, T1, one, size);
                    self.both((Vaddps, Vaddpd), T0, T0, Source::Reg(T1), size);
                    self.with_sign(to, T0, a, size);
                }
                UnaryOp::Sign => {
                    let bits = self.magnitude_bits(size);
                    self.both((Vandps, Vandpd), T0, a, bits, size);
                    let (zero, one) = (self.float(0.0, size), self.float(1.0, size));
                    self.compare(T0, T0, zero, 30, size);
                    self.copy(Source::Reg(T1), one);
                    self.with_sign(T1, T1, a, size);
                    self.choose(to, a, Source::Reg(T1), T0, size);
                }
                UnaryOp::IsFinite => {
                    let bits = self.magnitude_bits(size);
                    self.both((Vandps, Vandpd), T0, a, bits, size);
                    let infinity = self.float(f64::INFINITY, size);
                    self.compare(T0, T0, infinity, 17, size);
                    self.widen(to, T0, size);
                }
                op => unreachable!("{op:?} of floats is called"),
            },
            (op, _) => {
                let is_four = size == 4;
                match op {
                    UnaryOp::Neg => {
                        self.three(Vpxor, T0, T0, Source::Reg(T0), size);
                        self.both((Vpsubd, Vpsubq), to, T0, from, size);
                    }
                    UnaryOp::Abs if dtype == DType::U32 => self.copy(Source::Reg(to), from),
                    UnaryOp::Abs if is_four => self.two(Vpabsd, to, from, size),
                    UnaryOp::Abs => {
                        self.three(Vpxor, T0, T0, Source::Reg(T0), size);
                        self.three(Vpcmpgtq, T0, T0, from, size);
                        self.three(Vpxor, T1, a, Source::Reg(T0), size);
                        self.three(Vpsubq, to, T1, Source::Reg(T0), size);
                    }
                    UnaryOp::Sign if dtype == DType::U32 => {
                        let one = self.integer(1, size);
                        self.three(Vpminud, to, a, one, size);
                    }
                    UnaryOp::Sign => {
                        let greater = (Vpcmpgtd, Vpcmpgtq);
                        self.three(Vpxor, T0, T0, Source::Reg(T0), size);
                        self.both(greater, T1, a, Source::Reg(T0), size);
                        self.both(greater, T0, T0, from, size);
                        self.both((Vpsubd, Vpsubq), to, T0, Source::Reg(T1), size);
                    }
                    UnaryOp::Square => self.multiply(to, a, from, size),
                    UnaryOp::Not => {
                        self.three(Vpcmpeqd, T0, T0, Source::Reg(T0), size);
                        self.three(Vpxor, to, a, Source::Reg(T0), size);
                    }
                    op => unreachable!("{op:?} of integers is called"),
                }
            }
        }
    }

    /// The magnitude of one float with the sign of another one.
    pub(super) fn with_sign(&mut self, to: Reg, magnitude: Reg, sign: Reg, size: usize) {
        use InstId::*;
        let (bits, minus) = (self.magnitude_bits(size), self.sign_bit(size));
        self.both((Vandps, Vandpd), T2, sign, minus, size);
        self.both((Vandps, Vandpd), to, magnitude, bits, size);
        self.both((Vorps, Vorpd), to, to, Source::Reg(T2), size);
    }

    pub(super) fn multiply(&mut self, to: Reg, a: Reg, b: Source, size: usize) {
        use InstId::*;
        if size == 4 {
            return self.three(Vpmulld, to, a, b, size);
        }
        self.copy(Source::Reg(T2), b);
        // The low product, and the products of low and high halves.
        self.with_number(Vpsrlq, T0, a, 32, size);
        self.three(Vpmuludq, T0, T0, Source::Reg(T2), size);
        self.with_number(Vpsrlq, T1, T2, 32, size);
        self.three(Vpmuludq, T1, T1, Source::Reg(a), size);
        self.three(Vpaddq, T0, T0, Source::Reg(T1), size);
        self.with_number(Vpsllq, T0, T0, 32, size);
        self.three(Vpmuludq, T1, a, Source::Reg(T2), size);
        self.three(Vpaddq, to, T0, Source::Reg(T1), size);
    }

    pub(super) fn binary(&mut self, op: BinaryOp, dtype: DType, to: Reg, a: Reg, b: Source) {
        use InstId::*;
        let size = if dtype == DType::Bool { self.lanes.element } else { dtype.size() };
        let id = match (op, dtype) {
            (BinaryOp::Max | BinaryOp::Min, DType::F32 | DType::F64) => {
                return self.extreme(op == BinaryOp::Max, to, a, b, size);
            }
            (BinaryOp::And, _) | (BinaryOp::Min, DType::Bool) => (Vpand, Vpand),
            (BinaryOp::Or, _) | (BinaryOp::Max, DType::Bool) => (Vpor, Vpor),
            (BinaryOp::Xor, _) => (Vpxor, Vpxor),
            (BinaryOp::Add, DType::F32 | DType::F64) => (Vaddps, Vaddpd),
            (BinaryOp::Sub, DType::F32 | DType::F64) => (Vsubps, Vsubpd),
            (BinaryOp::Mul, DType::F32 | DType::F64) => (Vmulps, Vmulpd),
            (BinaryOp::Div, DType::F32 | DType::F64) => (Vdivps, Vdivpd),
            (BinaryOp::Add, _) => (Vpaddd, Vpaddq),
            (BinaryOp::Sub, _) => (Vpsubd, Vpsubq),
            (BinaryOp::Mul, _) => return self.multiply(to, a, b, size),
            (BinaryOp::Max, DType::U32) => (Vpmaxud, Vpmaxud),
            (BinaryOp::Min, DType::U32) => (Vpminud, Vpminud),
            (BinaryOp::Max, DType::I32) => (Vpmaxsd, Vpmaxsd),
            (BinaryOp::Min, DType::I32) => (Vpminsd, Vpminsd),
            (BinaryOp::Max | BinaryOp::Min, _) => {
                self.three(Vpcmpgtq, T0, a, b, size);
                self.copy(Source::Reg(T1), b);
                let (no, yes) = if op == BinaryOp::Max { (T1, a) } else { (a, T1) };
                return self.choose(to, no, Source::Reg(yes), T0, size);
            }
            (BinaryOp::ShiftLeft, _) => (Vpsllvd, Vpsllvq),
            (BinaryOp::ShiftRightLogical, _) => (Vpsrlvd, Vpsrlvq),
            (BinaryOp::ShiftRightArithmetic, _) => (Vpsravd, Vpsravd),
            (op, dtype) => unreachable!("{op:?} of {dtype} is called"),
        };
        self.both(id, to, a, b, size);
    }

    pub(super) fn comparison(&mut self, op: CompareOp, of: DType, to: Reg, a: Reg, b: Source) {
        use InstId::*;
        let size = if of == DType::Bool { self.lanes.element } else { of.size() };
        if of.is_float() {
            let how = match op {
                CompareOp::Eq => 0,
                CompareOp::Ne => 4,
                CompareOp::Lt => 17,
                CompareOp::Le => 18,
                CompareOp::Ge => 29,
                CompareOp::Gt => 30,
            };
            self.compare(T0, a, b, how, size);
            return self.widen(to, T0, size);
        }
        self.copy(Source::Reg(T1), b);
        let (mut x, mut y) = (a, T1);
        if of == DType::U32 {
            // The order of unsigned numbers is that of signed ones with the first bit turned over.
            let bit = self.integer(i32::MIN.into(), 4);
            self.three(Vpxor, T0, a, bit, 4);
            self.three(Vpxor, T1, T1, bit, 4);
            x = T0;
        }
        // Truths are 0 and -1.
        let is_swapped = matches!(op, CompareOp::Lt | CompareOp::Ge) != (of == DType::Bool);
        if is_swapped {
            std::mem::swap(&mut x, &mut y);
        }
        let (id, negated) = match op {
            CompareOp::Eq => ((Vpcmpeqd, Vpcmpeqq), false),
            CompareOp::Ne => ((Vpcmpeqd, Vpcmpeqq), true),
            CompareOp::Lt | CompareOp::Gt => ((Vpcmpgtd, Vpcmpgtq), false),
            CompareOp::Le | CompareOp::Ge => ((Vpcmpgtd, Vpcmpgtq), true),
        };
        self.both(id, T0, x, Source::Reg(y), size);
        if negated {
            self.three(Vpcmpeqd, T1, T1, Source::Reg(T1), size);
            self.three(Vpxor, T0, T0, Source::Reg(T1), size);
        }
        self.widen(to, T0, size);
    }

    pub(super) fn convert(&mut self, to_dtype: DType, from: DType, to: Reg, a: Reg) {
        use DType::{Bool, F32, F64, I32, I64, U32};
        use InstId::*;
        let source = Source::Reg(a);
        match (from, to_dtype) {
            (from, to_dtype) if from == to_dtype => self.copy(Source::Reg(to), source),
            (Bool, F32 | F64) => {
                let size = to_dtype.size();
                let mask = self.narrow(T0, a, size);
                let one = self.float(1.0, size);
                self.both((Vandps, Vandpd), to, mask, one, size);
            }
            (Bool, _) => {
                let size = to_dtype.size();
                let mask = self.narrow(T0, a, size);
                let one = self.integer(1, size);
                self.three(Vpand, to, mask, one, size);
            }
            (F32 | F64, Bool) => {
                let size = from.size();
                let zero = self.float(0.0, size);
                self.compare(T0, a, zero, 4, size);
                self.widen(to, T0, size);
            }
            (_, Bool) => {
                let size = from.size();
                self.three(Vpxor, T1, T1, Source::Reg(T1), size);
                self.both((Vpcmpeqd, Vpcmpeqq), T0, a, Source::Reg(T1), size);
                self.three(Vpcmpeqd, T1, T1, Source::Reg(T1), size);
                self.three(Vpxor, T0, T0, Source::Reg(T1), size);
                self.widen(to, T0, size);
            }
            (I32, U32) | (U32, I32) => self.copy(Source::Reg(to), source),
            (I32, F32) => self.two(Vcvtdq2ps, to, source, 4),
            (I32, F64) => self.across(Vcvtdq2pd, to, a),
            (I32, I64) => self.across(Vpmovsxdq, to, a),
            (U32, I64) => self.across(Vpmovzxdq, to, a),
            (F32, F64) => self.across(Vcvtps2pd, to, a),
            (F64, F32) => {
                let wide = self.reg(a, 8);
                self.emit(Vcvtpd2ps, ops![Xmm::from_id(to.into()), wide]);
            }
            (I64, I32 | U32) => {
                let low = self.narrow(to, a, 4);
                if low != to {
                    self.copy(Source::Reg(to), Source::Reg(low));
                }
            }
            (F32 | F64, I32) => {
                let size = from.size();
                let limit = self.float(2_147_483_648.0, size);
                // Too large ones become the least number, of which all bits are turned over; NaN zero.
                self.compare(T0, a, limit, 29, size);
                self.compare(T1, a, source, 7, size);
                match from {
                    F32 => self.two(Vcvttps2dq, to, source, 4),
                    _ => {
                        let wide = self.reg(a, 8);
                        self.emit(Vcvttpd2dq, ops![Xmm::from_id(to.into()), wide]);
                        let high = self.narrow_of(size, T0);
                        let number = self.narrow_of(size, T1);
                        debug_assert_eq!((high, number), (T0, T1));
                    }
                }
                self.three(Vpxor, to, to, Source::Reg(T0), 4);
                self.three(Vpand, to, to, Source::Reg(T1), 4);
            }
            (from, to) => unreachable!("{from} to {to} is called"),
        }
    }

    /// A mask of eight bytes as one of four, where it is.
    pub(super) fn narrow_of(&mut self, size: usize, mask: Reg) -> Reg {
        debug_assert_eq!(size, 8, "of wide numbers");
        match self.lanes.count {
            1 => mask,
            _ => self.narrow(mask, mask, 4),
        }
    }

    /// From four bytes each to eight.
    pub(super) fn across(&mut self, id: InstId, to: Reg, a: Reg) {
        let to = self.reg(to, 8);
        self.emit(id, ops![to, Xmm::from_id(a.into())]);
    }

    /// A truth as a mask for numbers of some bytes.
    pub(super) fn narrow(&mut self, to: Reg, truth: Reg, size: usize) -> Reg {
        if size == self.lanes.element || self.lanes.count == 1 {
            return truth;
        }
        // The lower halves of eight bytes each.
        let (wide, low, other) = (Ymm::from_id(truth.into()), Xmm::from_id(truth.into()), T2);
        let high = Xmm::from_id(other.into());
        self.emit(InstId::Vextractf128, ops![high, wide, imm(1)]);
        let to_low = Xmm::from_id(to.into());
        self.emit(InstId::Vshufps, ops![to_low, low, high, imm(0x88)]);
        to
    }

    /// A mask of numbers of some bytes as a truth.
    pub(super) fn widen(&mut self, to: Reg, mask: Reg, size: usize) {
        if size != self.lanes.element {
            let to = self.reg(to, 8);
            self.emit(InstId::Vpmovsxdq, ops![to, Xmm::from_id(mask.into())]);
        } else if to != mask {
            self.two(InstId::Vmovaps, to, Source::Reg(mask), size);
        }
    }

    pub(super) fn compare(&mut self, to: Reg, a: Reg, b: Source, how: i32, size: usize) {
        let id = if size == 4 { InstId::Vcmpps } else { InstId::Vcmppd };
        let (to, a, b) = (self.reg(to, size), self.reg(a, size), self.source(b, size));
        self.emit(id, ops![to, a, b, imm(how)]);
    }

    /// `mask ? yes : no`, with a mask as wide as the numbers.
    pub(super) fn choose(&mut self, to: Reg, no: Reg, yes: Source, mask: Reg, size: usize) {
        let id = if size == 4 { InstId::Vblendvps } else { InstId::Vblendvpd };
        let (to, no) = (self.reg(to, size), self.reg(no, size));
        let (yes, mask) = (self.source(yes, size), self.reg(mask, size));
        self.emit(id, ops![to, no, yes, mask]);
    }

    /// A float in all lanes.
    pub(super) fn float(&mut self, value: f64, size: usize) -> Source {
        let (bits, dtype) = match size {
            4 => (u64::from((value as f32).to_bits()), DType::F32),
            _ => (value.to_bits(), DType::F64),
        };
        Source::Constant(self.constant(bits, dtype))
    }

    /// The same integer in all lanes.
    pub(super) fn integer(&mut self, value: i64, size: usize) -> Source {
        let dtype = if size == 4 { DType::I32 } else { DType::I64 };
        Source::Constant(self.constant(value as u64, dtype))
    }

    pub(super) fn sign_bit(&mut self, size: usize) -> Source {
        self.float(-0.0, size)
    }

    pub(super) fn magnitude_bits(&mut self, size: usize) -> Source {
        self.integer(if size == 4 { i32::MAX.into() } else { i64::MAX }, size)
    }
}

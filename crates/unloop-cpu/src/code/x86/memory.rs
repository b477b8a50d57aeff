//! Elements of memory: side by side, apart, where a mask is true; and booleans, which are bytes there.

use asmkit::OperandCast;
use asmkit::x86::*;

use unloop_graph::DType;

use super::{FRAME, SAVED_VECTORS, T0, T1, T2, X86, ops};
use crate::code::machine::{Address, Machine, Reg, Source, Spread, VECTOR};

impl X86 {
    /// The bytes of truths, in the first bytes of a register.
    pub(super) fn packed(&mut self, to: Reg, truth: Reg) {
        use InstId::*;
        let (low, high) = (Xmm::from_id(truth.into()), Xmm::from_id(T2.into()));
        let to = Xmm::from_id(to.into());
        let wide = Ymm::from_id(truth.into());
        self.emit(Vextractf128, ops![high, wide, imm(1)]);
        match self.lanes.element {
            4 => self.emit(Vpackssdw, ops![to, low, high]),
            _ => {
                let how = imm(0x88);
                self.emit(Vshufps, ops![to, low, high, how]);
                self.emit(Vpackssdw, ops![to, to, to]);
            }
        }
        self.emit(Vpacksswb, ops![to, to, to]);
        self.emit(Vpabsb, ops![to, to]);
    }

    /// Truths from bytes in memory.
    pub(super) fn unpacked(&mut self, to: Reg, from: Mem) {
        use InstId::*;
        let element = self.lanes.element;
        if self.lanes.count == 1 {
            self.emit(Movzx, ops![EAX, from]);
            self.emit(Neg, ops![RAX]);
            self.emit(Vmovq, ops![Xmm::from_id(to.into()), RAX]);
            return;
        }
        let id = if element == 4 { Vpmovzxbd } else { Vpmovzxbq };
        let wide = self.reg(T0, element);
        self.emit(id, ops![wide, from]);
        self.three(Vpxor, T1, T1, Source::Reg(T1), element);
        self.both((Vpsubd, Vpsubq), to, T1, Source::Reg(T0), element);
    }

    /// The elements of the lanes one by one, into a register.
    pub(super) fn gather(&mut self, to: Reg, from: Address, step: isize, size: usize) {
        use InstId::*;
        let count = self.lanes.count;
        let per = 16 / size;
        for half in (0..count).step_by(per).rev() {
            // The first half comes last, and joins the second one.
            let part = Xmm::from_id(if half == 0 { to } else { T0 }.into());
            for k in 0..per.min(count - half) {
                let at = self.mem(from, (half + k) as isize * step, size);
                let number = imm(k as i32);
                match (size, k) {
                    (4, 0) => self.emit(Vmovd, ops![part, at]),
                    (_, 0) => self.emit(Vmovq, ops![part, at]),
                    (4, _) => self.emit(Vpinsrd, ops![part, part, at, number]),
                    _ => self.emit(Vpinsrq, ops![part, part, at, number]),
                }
            }
        }
        if count * size == VECTOR {
            let (wide, high) = (Ymm::from_id(to.into()), Xmm::from_id(T0.into()));
            self.emit(Vinserti128, ops![wide, wide, high, imm(1)]);
        }
    }

    pub(super) fn scatter(&mut self, to: Address, step: isize, value: Reg, size: usize) {
        use InstId::*;
        let (count, per) = (self.lanes.count, 16 / size);
        for half in (0..count).step_by(per) {
            let part = match half {
                0 => Xmm::from_id(value.into()),
                _ => {
                    let (high, wide) = (Xmm::from_id(T0.into()), Ymm::from_id(value.into()));
                    self.emit(Vextracti128, ops![high, wide, imm(1)]);
                    high
                }
            };
            for k in 0..per.min(count - half) {
                let at = self.mem(to, (half + k) as isize * step, size);
                let number = imm(k as i32);
                match (size, k) {
                    (4, 0) => self.emit(Vmovd, ops![at, part]),
                    (_, 0) => self.emit(Vmovq, ops![at, part]),
                    (4, _) => self.emit(Vpextrd, ops![at, part, number]),
                    _ => self.emit(Vpextrq, ops![at, part, number]),
                }
            }
        }
    }

    pub(super) fn load_elements(&mut self, to: Reg, from: Address, spread: Spread, dtype: DType) {
        use InstId::*;
        let size = dtype.size();
        let step = match spread {
            Spread::Own => {
                let bytes = if self.lanes.count == 1 { 16 } else { VECTOR };
                let at = self.mem(from, 0, bytes);
                let to = match bytes {
                    16 => *Xmm::from_id(to.into()).as_operand(),
                    _ => *Ymm::from_id(to.into()).as_operand(),
                };
                return self.emit(Vmovups, ops![to, at]);
            }
            Spread::Bytes(step) => step,
        };
        let one = self.lanes.count == 1;
        if dtype == DType::Bool {
            if one || step == 1 {
                let at = self.mem(from, 0, self.lanes.count);
                return self.unpacked(to, at);
            }
            for k in 0..self.lanes.count {
                let at = self.mem(from, k as isize * step, 1);
                self.emit(Movzx, ops![EAX, at]);
                let byte = byte_ptr(FRAME, SAVED_VECTORS + k as i32);
                self.emit(Mov, ops![byte, AL]);
            }
            return self.of_bytes(to, SAVED_VECTORS);
        }
        if one {
            let at = self.mem(from, 0, size);
            let id = if size == 4 { Vmovss } else { Vmovsd };
            return self.emit(id, ops![Xmm::from_id(to.into()), at]);
        }
        if step == size as isize {
            let bytes = self.bytes(size);
            let (at, to) = (self.mem(from, 0, bytes), self.reg(to, size));
            return self.emit(Vmovups, ops![to, at]);
        }
        if step == 0 {
            let at = self.mem(from, 0, size);
            let id = if size == 4 { Vbroadcastss } else { Vpbroadcastq };
            let to = self.reg(to, size);
            return self.emit(id, ops![to, at]);
        }
        self.gather(to, from, step, size);
    }

    pub(super) fn load_where(
        &mut self,
        to: Reg,
        from: Address,
        mask: Reg,
        otherwise: i32,
        dtype: DType,
    ) {
        use InstId::*;
        let size = dtype.size();
        let mut mask = self.narrow(T1, mask, size);
        if self.lanes.count == 1 {
            // Other lanes than the first may hold anything.
            let id = if size == 4 { Vmovd } else { Vmovq };
            let bits = if size == 4 { *EAX.as_operand() } else { *RAX.as_operand() };
            self.emit(id, ops![bits, Xmm::from_id(mask.into())]);
            self.emit(id, ops![Xmm::from_id(T1.into()), bits]);
            mask = T1;
        }
        let bytes = self.bytes(size);
        let at = self.mem(from, 0, bytes);
        let id = if size == 4 { Vmaskmovps } else { Vmaskmovpd };
        let (read, only) = (self.reg(T0, size), self.reg(mask, size));
        self.emit(id, ops![read, only, at]);
        self.copy(Source::Reg(T2), Source::Constant(otherwise));
        self.choose(to, T2, Source::Reg(T0), mask, size);
    }

    pub(super) fn store_elements(&mut self, to: Address, spread: Spread, value: Reg, dtype: DType) {
        use InstId::*;
        let size = dtype.size();
        let step = match spread {
            Spread::Own => {
                let bytes = if self.lanes.count == 1 { 16 } else { VECTOR };
                let at = self.mem(to, 0, bytes);
                let value = match bytes {
                    16 => *Xmm::from_id(value.into()).as_operand(),
                    _ => *Ymm::from_id(value.into()).as_operand(),
                };
                return self.emit(Vmovups, ops![at, value]);
            }
            Spread::Bytes(step) => step,
        };
        let one = self.lanes.count == 1;
        if dtype == DType::Bool {
            if one {
                // The address may need the register of the byte.
                let at = self.mem(to, 0, 1);
                let low = Xmm::from_id(T0.into());
                self.emit(Vpabsb, ops![low, Xmm::from_id(value.into())]);
                return self.emit(Vpextrb, ops![at, low, imm(0)]);
            }
            if step == 1 {
                self.packed(T0, value);
                let at = self.mem(to, 0, self.lanes.count);
                let id = if self.lanes.count == 8 { Vmovq } else { Vmovd };
                return self.emit(id, ops![at, Xmm::from_id(T0.into())]);
            }
            self.packed(T0, value);
            for k in 0..self.lanes.count {
                let at = self.mem(to, k as isize * step, 1);
                self.emit(Vpextrb, ops![at, Xmm::from_id(T0.into()), imm(k as i32)]);
            }
            return;
        }
        if one {
            let at = self.mem(to, 0, size);
            let id = if size == 4 { Vmovss } else { Vmovsd };
            return self.emit(id, ops![at, Xmm::from_id(value.into())]);
        }
        if step == size as isize {
            let bytes = self.bytes(size);
            let (at, value) = (self.mem(to, 0, bytes), self.reg(value, size));
            return self.emit(Vmovups, ops![at, value]);
        }
        self.scatter(to, step, value, size);
    }
}

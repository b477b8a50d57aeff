//! Elements of memory that do not lie side by side, and booleans, which are bytes there.

use asmkit::OperandCast;
use asmkit::x86::*;

use super::{T0, T1, T2, X86, ops};
use crate::code::machine::{Address, Reg, Source, VECTOR};

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
}

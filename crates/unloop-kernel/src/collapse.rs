//! Fewer, longer axes: axes of extent 1 disappear, and neighbours that all memory walks in one
//! stride become one.

use smallvec::SmallVec;

use crate::ir::{Expr, Kernel};

impl Kernel {
    /// The same kernel over a space with as few axes as possible; at least one kept axis remains,
    /// and one reduced axis if there is a reduction.
    pub fn collapse(mut self) -> Kernel {
        let mut axis = self.space.len();
        while axis > 0 {
            axis -= 1;
            if self.space[axis] == 1 && !self.is_special(axis) {
                self.remove(axis);
            } else if axis + 1 < self.space.len() && self.can_merge(axis) {
                // The merged axis walks in the strides of the inner one.
                self.space[axis + 1] *= self.space[axis];
                self.remove(axis);
            }
        }
        if self.kept() == 0 {
            self.insert(0);
            self.store.strides.insert(0, 1);
        }
        if let Some(reduction) = &mut self.reduction
            && reduction.axes == 0
        {
            reduction.axes = 1;
            let last = self.space.len();
            self.insert(last);
        }
        self
    }

    /// Whether positions along any axis themselves matter, not only memory.
    pub fn has_positions(&self) -> bool {
        (0..self.space.len()).any(|axis| self.is_special(axis))
    }

    /// Whether positions along the axis themselves matter, not only memory.
    fn is_special(&self, axis: usize) -> bool {
        self.loads.iter().any(|l| l.windows.iter().any(|w| w.axis == axis))
            || self.exprs.iter().any(|e| matches!(e, Expr::Iota { axis: a, .. } if *a == axis))
    }

    /// Whether `axis` and the next one can be walked as one.
    fn can_merge(&self, axis: usize) -> bool {
        let kept = self.kept();
        let inner = self.space[axis + 1] as isize;
        let walks = |strides: &[isize]| strides[axis] == strides[axis + 1] * inner;
        (axis + 1 < kept || axis >= kept)
            && !self.is_special(axis)
            && !self.is_special(axis + 1)
            && self.loads.iter().all(|l| walks(&l.source.strides))
            && (axis >= kept || walks(&self.store.strides))
    }

    fn renumber(&mut self, f: impl Fn(usize) -> usize) {
        for window in self.loads.iter_mut().flat_map(|l| &mut l.windows) {
            window.axis = f(window.axis);
        }
        for expr in &mut self.exprs {
            if let Expr::Iota { axis, .. } = expr {
                *axis = f(*axis);
            }
        }
    }

    fn remove(&mut self, axis: usize) {
        let kept = self.kept();
        self.space.remove(axis);
        self.loads.iter_mut().for_each(|l| {
            l.source.strides.remove(axis);
        });
        match &mut self.reduction {
            Some(reduction) if axis >= kept => reduction.axes -= 1,
            _ => {
                self.store.strides.remove(axis);
            }
        }
        self.renumber(|a| if a > axis { a - 1 } else { a });
    }

    /// Inserts an axis of extent 1 without a stride in the store.
    fn insert(&mut self, axis: usize) {
        self.space.insert(axis, 1);
        self.loads.iter_mut().for_each(|l| l.source.strides.insert(axis, 0));
        self.renumber(|a| if a >= axis { a + 1 } else { a });
    }

    /// The axes in another order: axis `i` becomes axis `order[i]` of the old kernel. Kept axes stay
    /// in front of reduced ones.
    pub fn permute(mut self, order: &[usize]) -> Kernel {
        let take = |values: &[isize]| -> SmallVec<[isize; 6]> {
            order.iter().filter(|&&a| a < values.len()).map(|&a| values[a]).collect()
        };
        self.space = order.iter().map(|&a| self.space[a]).collect();
        self.store.strides = take(&self.store.strides);
        self.loads.iter_mut().for_each(|l| l.source.strides = take(&l.source.strides));
        let mut position: SmallVec<[usize; 6]> = SmallVec::from_elem(0, order.len());
        order.iter().enumerate().for_each(|(i, &a)| position[a] = i);
        self.renumber(|a| position[a]);
        self
    }
}

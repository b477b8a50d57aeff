//! The scalar evaluator of nests: one element after the other, by the operations' own definitions.
//! Slow, obviously correct.

use smallvec::SmallVec;
use unloop_graph::{Array, ErrorKind, Number, Scalar, Shape, TensorType};

use super::{AxisId, BufferId, Index, Kind, Loop, Nest, Stmt};
use crate::ir::{Expr, ExprId};

struct Machine<'a> {
    nest: &'a Nest,
    memory: &'a mut [Vec<Number>],
    values: Vec<Option<Number>>,
    position: Vec<usize>,
}

impl Nest {
    /// Runs the nest on memory, which has the elements of each buffer.
    ///
    /// # Errors
    /// `InvalidArgument` for an index out of its buffer; `LoopLimit`; those of the operations.
    pub fn eval(&self, memory: &mut [Vec<Number>]) -> Result<(), ErrorKind> {
        let fits =
            |(buffer, elements): (&super::Buffer, &Vec<Number>)| buffer.len == elements.len();
        assert!(
            memory.len() == self.buffers.len() && self.buffers.iter().zip(&*memory).all(fits),
            "memory for each buffer of\n{self}"
        );
        let values = vec![None; self.exprs.len()];
        let position = vec![0; self.axes.len()];
        Machine { nest: self, memory, values, position }.block(&self.body)
    }
}

impl Machine<'_> {
    fn block(&mut self, block: &[Stmt]) -> Result<(), ErrorKind> {
        for stmt in block {
            match stmt {
                Stmt::Let(x) => self.values[x.index()] = Some(self.expr(*x)?),
                Stmt::Store { buffer, index, value } => {
                    let at = self.element(*buffer, index)?;
                    self.memory[buffer.0 as usize][at] = self.value(*value);
                }
                Stmt::Loop(each) => self.repeat(each)?,
            }
        }
        Ok(())
    }

    fn value(&self, x: ExprId) -> Number {
        match self.values[x.index()] {
            Some(value) => value,
            None => unreachable!("{x} is read before it is computed:\n{}", self.nest),
        }
    }

    fn element(&self, buffer: BufferId, index: &Index) -> Result<usize, ErrorKind> {
        let along = |(axis, stride): &(AxisId, isize)| {
            self.position[axis.0 as usize] as i128 * *stride as i128
        };
        let affine: i128 = index.terms.iter().map(along).sum();
        let computed = index.computed.map_or(0, |x| self.value(x).int());
        let at = index.offset as i128 + affine + computed;
        let len = self.memory[buffer.0 as usize].len();
        usize::try_from(at).ok().filter(|&at| at < len).ok_or_else(|| {
            ErrorKind::InvalidArgument(format!("[{index}] is {at}, of {len} elements"))
        })
    }

    fn expr(&self, x: ExprId) -> Result<Number, ErrorKind> {
        let dtype = self.nest.dtype(x);
        if let Some(read) = self.nest.read(x) {
            let is_read = read.mask.is_none_or(|mask| self.value(mask).truth());
            return match (is_read, read.otherwise) {
                (false, Some(value)) => Ok(value.number()),
                _ => {
                    Ok(self.memory[read.buffer.0 as usize]
                        [self.element(read.buffer, &read.index)?])
                }
            };
        }
        let expr = self.nest.expr(x);
        match *expr {
            Expr::Constant(value) => return Ok(value.number()),
            Expr::Iota { axis, scale, offset, .. } => {
                let position = self.position[axis] as i128 * scale as i128 + offset as i128;
                return Ok(Scalar::new(dtype, Number::Int(position)).number());
            }
            _ => {}
        }
        let Some(op) = expr.op() else { unreachable!("{x} is no operation:\n{}", self.nest) };
        let operand = |x: &ExprId| {
            Array::fill(Shape::scalar(), Scalar::new(self.nest.dtype(*x), self.value(*x)))
        };
        let operands: SmallVec<[Array; 3]> = expr.operands().iter().map(operand).collect();
        let types = [TensorType::new(dtype, ())].into_iter().collect();
        Ok(op.evaluate(&operands, &types)?[0].get(&[]))
    }

    fn repeat(&mut self, each: &Loop) -> Result<(), ErrorKind> {
        let extent = self.nest.axes[each.axis.0 as usize];
        for carried in &each.carried {
            self.values[carried.value.index()] = Some(self.value(carried.start));
        }
        if let Kind::While { head, on, limit } = &each.kind {
            let mut runs = 0;
            loop {
                self.block(head)?;
                if !self.value(*on).truth() {
                    return Ok(());
                }
                if let Some(limit) = limit.filter(|limit| runs >= *limit) {
                    return Err(ErrorKind::LoopLimit { limit });
                }
                runs += 1;
                self.run(each)?;
            }
        }
        let reverse = matches!(each.kind, Kind::Serial { reverse: true });
        for run in 0..extent {
            self.position[each.axis.0 as usize] = if reverse { extent - 1 - run } else { run };
            self.run(each)?;
        }
        Ok(())
    }

    fn run(&mut self, each: &Loop) -> Result<(), ErrorKind> {
        self.block(&each.body)?;
        // All at once: one may pass on another one's latest.
        let next: SmallVec<[Number; 8]> =
            each.carried.iter().map(|carried| self.value(carried.next)).collect();
        for (carried, next) in each.carried.iter().zip(next) {
            self.values[carried.value.index()] = Some(next);
        }
        Ok(())
    }
}

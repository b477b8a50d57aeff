//! Whether a nest is well formed: a mistake of whoever made it must not become an access to foreign
//! memory or a wrong number.

use std::collections::HashSet;

use smallvec::SmallVec;
use unloop_graph::{DType, Op, TensorType};

use super::{AxisId, BufferId, Index, Kind, Loop, Nest, Role, Stmt};
use crate::ir::{Expr, ExprId};

/// What is known where a statement stands.
struct Scope<'a> {
    nest: &'a Nest,
    /// Expressions that have been computed.
    computed: HashSet<ExprId>,
    /// Loops around.
    axes: Vec<AxisId>,
}

impl Nest {
    /// Checks that every expression is computed once, before it is read, that dtypes fit, and that
    /// indices without a computed part stay within their buffers.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.exprs.len() != self.dtypes.len() {
            return Err("as many dtypes as expressions".into());
        }
        let mut scope = Scope { nest: self, computed: HashSet::new(), axes: Vec::new() };
        scope.block(&self.body).map(drop)
    }
}

impl Scope<'_> {
    /// Checks a block; gives what it has computed, which is known until its end.
    fn block(&mut self, block: &[Stmt]) -> Result<Vec<ExprId>, String> {
        let mut own = Vec::new();
        for stmt in block {
            match stmt {
                Stmt::Let(x) => {
                    self.expr(*x)?;
                    self.compute(*x, &mut own)?;
                }
                Stmt::Store { buffer, index, value } => {
                    self.is_read(*value)?;
                    let to = self.access(*buffer, index, false)?;
                    if to.role == Role::Input {
                        return Err(format!("buffer {} is an input, and written", buffer.0));
                    }
                    self.same(to.dtype, *value)?;
                }
                Stmt::Loop(each) => {
                    self.repeat(each)?;
                    for carried in &each.carried {
                        self.compute(carried.value, &mut own)?;
                    }
                }
            }
        }
        Ok(own)
    }

    fn compute(&mut self, x: ExprId, own: &mut Vec<ExprId>) -> Result<(), String> {
        own.push(x);
        match self.computed.insert(x) {
            true => Ok(()),
            false => Err(format!("{x} is computed twice")),
        }
    }

    fn forget(&mut self, own: Vec<ExprId>) {
        for x in &own {
            self.computed.remove(x);
        }
    }

    fn repeat(&mut self, each: &Loop) -> Result<(), String> {
        let nest = self.nest;
        if each.axis.0 as usize >= nest.axes.len() || self.axes.contains(&each.axis) {
            return Err(format!("{} is no axis, or one of a loop around", each.axis));
        }
        let is_parallel = matches!(each.kind, Kind::Grid | Kind::Lanes);
        if is_parallel && each.carried.iter().any(|carried| carried.fold.is_none()) {
            return Err(format!("the loop over {} has no order, and passes on", each.axis));
        }
        let mut own = Vec::new();
        for carried in &each.carried {
            self.is_read(carried.start)?;
            self.same(nest.dtype(carried.value), carried.start)?;
            self.same(nest.dtype(carried.value), carried.next)?;
            if !matches!(nest.expr(carried.value), Expr::Carried(_)) {
                return Err(format!("{} is passed on, and computed", carried.value));
            }
            self.compute(carried.value, &mut own)?;
        }
        self.axes.push(each.axis);
        if let Kind::While { head, on, .. } = &each.kind {
            own.extend(self.block(head)?);
            self.is_read(*on)?;
            self.same(DType::Bool, *on)?;
        }
        own.extend(self.block(&each.body)?);
        each.carried.iter().try_for_each(|carried| self.is_read(carried.next))?;
        self.axes.pop();
        self.forget(own);
        Ok(())
    }

    /// Whether a value is there.
    fn is_read(&self, x: ExprId) -> Result<(), String> {
        match self.computed.contains(&x) {
            true => Ok(()),
            false => Err(format!("{x} is read before it is computed, or outside of its loop")),
        }
    }

    fn same(&self, dtype: DType, x: ExprId) -> Result<(), String> {
        match self.nest.dtype(x) == dtype {
            true => Ok(()),
            false => Err(format!("{x} is {}, and should be {dtype}", self.nest.dtype(x))),
        }
    }

    fn expr(&self, x: ExprId) -> Result<(), String> {
        let nest = self.nest;
        nest.operands(x).into_iter().try_for_each(|x| self.is_read(x))?;
        if let Some(read) = nest.read(x) {
            let from = self.access(read.buffer, &read.index, read.mask.is_some())?;
            read.mask.map_or(Ok(()), |mask| self.same(DType::Bool, mask))?;
            if read.mask.is_some() != read.otherwise.is_some() {
                return Err(format!("{x} has a mask, or what stands for it, alone"));
            }
            return self.same(from.dtype, x);
        }
        let op = match nest.expr(x) {
            Expr::Load(_) => return Err(format!("{x} is no read of the nest")),
            Expr::Carried(_) => return Err(format!("{x} is passed on by no loop")),
            Expr::Constant(value) => return self.same(value.dtype(), x),
            Expr::Iota { axis, dtype, .. } => {
                if !self.axes.contains(&AxisId(*axis as u32)) {
                    return Err(format!("{x} is a position along an axis of no loop around"));
                }
                return self.same(*dtype, x);
            }
            expr => expr.op(),
        };
        let types: SmallVec<[TensorType; 3]> =
            nest.operands(x).iter().map(|x| TensorType::new(nest.dtype(*x), ())).collect();
        match op.as_ref().map(|op| op.infer(&types)) {
            Some(Ok(results)) => self.same(results[0].dtype, x),
            Some(Err(kind)) => Err(format!("{x}: {kind}")),
            None => Err(format!("{x} is no operation")),
        }
    }

    /// The buffer of an access, whose elements stay within it.
    fn access(
        &self,
        buffer: BufferId,
        index: &Index,
        has_mask: bool,
    ) -> Result<&super::Buffer, String> {
        let nest = self.nest;
        let Some(to) = nest.buffers.get(buffer.0 as usize) else {
            return Err(format!("there is no buffer {}", buffer.0));
        };
        let (mut first, mut last) = (index.offset, index.offset);
        for (axis, stride) in &index.terms {
            if !self.axes.contains(axis) {
                return Err(format!("{axis} is an axis of no loop around"));
            }
            let reach = (nest.axes[axis.0 as usize] as isize - 1).max(0) * stride;
            first += reach.min(0);
            last += reach.max(0);
        }
        let is_empty = index.terms.iter().any(|(axis, _)| nest.axes[axis.0 as usize] == 0);
        let is_within = first >= 0 && last < to.len as isize;
        if is_within || is_empty || has_mask || index.computed.is_some() {
            return Ok(to);
        }
        Err(format!("[{index}] reaches from {first} to {last}, of {} elements", to.len))
    }
}

impl Expr {
    /// The operation on tensors that this is on scalars; none for what is no operation.
    pub fn op(&self) -> Option<Op> {
        Some(match *self {
            Expr::Load(_) | Expr::Constant(_) | Expr::Iota { .. } | Expr::Carried(_) => {
                return None;
            }
            Expr::Unary(op, _) => Op::Unary(op),
            Expr::Binary(op, ..) => Op::Binary(op),
            Expr::Compare(op, ..) => Op::Compare(op),
            Expr::Select(..) => Op::Select,
            Expr::Clamp(..) => Op::Clamp,
            Expr::Convert(to, _) => Op::Convert(to),
            Expr::Bitcast(to, _) => Op::Bitcast(to),
        })
    }
}

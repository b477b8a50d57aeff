//! Loops: what they pass on are numbers; what they read and write one entry a run lies in memory.

use std::collections::HashMap;

use unloop_graph::op::{Scan, While};
use unloop_graph::{Array, DType, Shape, TensorType};
use unloop_kernel::{AxisId, Buffer, BufferId, Carried, Expr, ExprId, Kind, Loop, Role, Stmt};

use super::memory::{Sinks, View};
use super::scalars::{MAX_ELEMENTS, Unroller, Value, array, elements};

/// Runs of a loop that are written out, at most, if its entries are no input's.
const MAX_RUNS: usize = 16;

/// Elements of an example that loops keep for others, at most.
const MAX_KEPT: usize = 1 << 15;

/// Loops in loops, at most: they are compiled by functions that call themselves, once from each outer loop.
const MOST_NESTED: usize = 32;

impl Unroller {
    pub fn repeat_while(&mut self, repeat: &While, operands: &[&Value]) -> Option<Vec<Value>> {
        let (shared, start) = operands.split_at(repeat.shared);
        self.whiles += 1;
        let results = self.repeat(start, 0, |s, _, passed| {
            // Examples move while the loop runs, so that nothing is read from memory.
            let still = |x: &Value| Value { ids: x.ids.clone(), memory: None };
            let inputs: Vec<Value> = shared.iter().copied().chain(passed).map(still).collect();
            let on = s.graph(&repeat.condition, inputs.clone(), None)?;
            let on = *elements(on.first()?.ids.as_ref()?).first()?;
            let head = s.blocks.last_mut().map(std::mem::take)?;
            let next = s.graph(&repeat.body, inputs, None)?;
            Some((Kind::While { head, on, limit: repeat.limit }, next))
        });
        self.whiles -= 1;
        results
    }

    pub fn repeat_scan(
        &mut self,
        scan: &Scan,
        operands: &[&Value],
        sinks: Vec<Sinks>,
        results: &[&TensorType],
    ) -> Option<Vec<Value>> {
        let (shared, start) = operands.split_at(scan.shared);
        let (start, entries) = start.split_at(scan.carry);
        let in_memory = entries.iter().all(|x| x.memory.is_some());
        let is_kept = !in_memory || sinks.iter().any(|s| s.is_read);
        if is_kept && scan.length <= MAX_RUNS {
            return self.runs(scan, operands, results);
        }
        // Examples move while a `while` loop runs, but not what is kept of them.
        if is_kept && self.whiles > 0 {
            return None;
        }
        let entries: Vec<Value> = entries.iter().map(|x| self.in_memory(x)).collect();
        let mut values = Vec::new();
        let mut stacks = Vec::new();
        for (sinks, ty) in sinks.into_iter().zip(&results[scan.carry..]) {
            let mut views = sinks.outputs;
            self.written.extend(views.iter().map(|view| view.of));
            let kept = sinks.is_read.then(|| self.keep(ty.dtype, &ty.shape));
            views.extend(kept.clone());
            if self.kept > MAX_KEPT {
                return None;
            }
            stacks.push(views);
            values.push(Value { ids: None, memory: kept });
        }
        let types = &scan.body.inputs()[scan.shared + scan.carry..];
        let kind = Kind::Serial { reverse: scan.reverse };
        let mut results = self.repeat(start, scan.length, |s, axis, passed| {
            let entry = |(x, ty): (&Value, _)| match &x.memory {
                Some(memory) => s.entry(memory, axis, ty),
                // Nothing, which the body may not read.
                None => Some(Value::default()),
            };
            let entries: Option<Vec<Value>> = entries.iter().zip(types).map(entry).collect();
            let entries = entries?;
            let inputs = shared.iter().copied().chain(passed).chain(&entries).cloned().collect();
            let mut next = s.graph(&scan.body, inputs, None)?;
            for (ids, views) in next.split_off(scan.carry).iter().zip(&stacks) {
                for view in views {
                    let (places, step) = view.entries();
                    let ids = elements(ids.ids.as_ref()?);
                    for (value, place) in ids.into_iter().zip(places) {
                        let index = s.index(view.of, place as usize, Some((axis, step)));
                        let store = Stmt::Store { buffer: view.of, index, value };
                        s.blocks.last_mut()?.push(store);
                    }
                }
            }
            Some((kind, next))
        })?;
        results.extend(values);
        Some(results)
    }

    /// Memory of an example, for what loops write and others read.
    fn keep(&mut self, dtype: DType, shape: &Shape) -> View {
        let len = shape.size();
        self.kept += len;
        self.nest.buffers.push(Buffer { role: Role::Local, dtype, len });
        View::whole(BufferId(self.nest.buffers.len() as u32 - 1), shape)
    }

    /// A value whose elements a loop reads one after the other: numbers are written to memory first.
    fn in_memory(&mut self, x: &Value) -> Value {
        let (None, Some(ids)) = (&x.memory, &x.ids) else { return x.clone() };
        let numbers = elements(ids);
        let Some(&first) = numbers.first() else { return x.clone() };
        let view = self.keep(self.dtype(first), ids.shape());
        for (element, value) in numbers.into_iter().enumerate() {
            let index = self.index(view.of, element, None);
            let store = Stmt::Store { buffer: view.of, index, value };
            self.blocks.last_mut().into_iter().for_each(|block| block.push(store.clone()));
        }
        Value { ids: x.ids.clone(), memory: Some(view) }
    }

    /// The numbers of a value that a loop has kept.
    pub fn recall(&mut self, x: &Value) -> Option<Array> {
        let view = x.memory.as_ref()?;
        let buffer = &self.nest.buffers[view.of.0 as usize];
        if buffer.role != Role::Local || view.shape.size() > MAX_ELEMENTS {
            return None;
        }
        let (dtype, depth) = (buffer.dtype, self.blocks.len() - 1);
        let mut ids = Vec::with_capacity(view.shape.size());
        view.shape.for_each_index(|index| {
            let moved = index.iter().zip(&view.strides).map(|(&i, &s)| i as isize * s);
            let element = view.offset + moved.sum::<isize>();
            let load = self.read(view.of, element as usize, None);
            let id = self.fresh(load, dtype, depth);
            self.blocks[depth].push(Stmt::Let(id));
            ids.push(id);
        });
        Some(array(view.shape.clone(), ids))
    }

    /// A short loop, run after run.
    fn runs(
        &mut self,
        scan: &Scan,
        operands: &[&Value],
        results: &[&TensorType],
    ) -> Option<Vec<Value>> {
        let whole = scan.shared + scan.carry;
        let mut carry: Vec<Value> = operands[scan.shared..whole].iter().copied().cloned().collect();
        let mut stacks = vec![vec![Vec::new(); scan.length]; results.len() - scan.carry];
        for i in scan.order() {
            let entry = |x: &&Value| {
                let all = x.ids.as_ref()?;
                let shape = Shape::from(&all.shape()[1..]);
                let ids = elements(all);
                let size = shape.size();
                Some(Value::of(array(shape, ids[i * size..(i + 1) * size].to_vec())))
            };
            let entries: Option<Vec<Value>> = operands[whole..].iter().map(entry).collect();
            let shared = operands[..scan.shared].iter().copied();
            let inputs = shared.chain(&carry).chain(&entries?).cloned().collect();
            let mut next = self.graph(&scan.body, inputs, None)?;
            for (stack, value) in stacks.iter_mut().zip(next.split_off(scan.carry)) {
                stack[i] = elements(value.ids.as_ref()?);
            }
            carry = next;
        }
        let stacks = stacks.into_iter().zip(&results[scan.carry..]);
        let stacks = stacks.map(|(runs, ty)| Value::of(array(ty.shape.clone(), runs.concat())));
        Some(carry.into_iter().chain(stacks).collect())
    }

    /// The entry of an input that a run of the innermost loop, which goes along the axis, reads.
    fn entry(&mut self, memory: &View, axis: AxisId, ty: &TensorType) -> Option<Value> {
        let (places, step) = memory.entries();
        if places.len() > MAX_ELEMENTS {
            return None;
        }
        let depth = self.blocks.len() - 1;
        let ids = places.into_iter().map(|element| {
            let load = self.read(memory.of, element as usize, Some((axis, step)));
            let id = self.fresh(load, ty.dtype, depth);
            self.blocks[depth].push(Stmt::Let(id));
            id
        });
        let ids = ids.collect();
        Some(Value::of(array(ty.shape.clone(), ids)))
    }

    /// A loop that begins with `start`; `body`, which is given the axis and what is passed on, tells how it
    /// goes and what is next.
    fn repeat(
        &mut self,
        start: &[&Value],
        extent: usize,
        body: impl FnOnce(&mut Self, AxisId, &[Value]) -> Option<(Kind, Vec<Value>)>,
    ) -> Option<Vec<Value>> {
        let start: Vec<&Array> = start.iter().map(|x| x.ids.as_ref()).collect::<Option<_>>()?;
        let depth = self.blocks.len();
        if depth > MOST_NESTED {
            return None;
        }
        self.blocks.push(Vec::new());
        self.known.push(HashMap::new());
        self.nest.axes.push(extent);
        let axis = AxisId(self.nest.axes.len() as u32 - 1);
        let begin: Vec<ExprId> = start.iter().flat_map(|x| elements(x)).collect();
        let mut values = Vec::new();
        let mut passed = Vec::new();
        for x in start {
            let mut ids = Vec::new();
            for x in elements(x) {
                let number = self.nest.exprs.len() as u32;
                ids.push(self.fresh(Expr::Carried(number), self.dtype(x), depth));
            }
            values.extend(&ids);
            passed.push(Value::of(array(x.shape().clone(), ids)));
        }
        let (kind, next) = body(self, axis, &passed)?;
        let body = self.blocks.pop()?;
        self.known.pop();
        let next: Vec<&Array> = next.iter().map(|x| x.ids.as_ref()).collect::<Option<_>>()?;
        let next = next.into_iter().flat_map(elements);
        let carried: Vec<Carried> = values
            .into_iter()
            .zip(begin)
            .zip(next)
            .map(|((value, start), next)| Carried { value, start, next, fold: None })
            .collect();
        // After the loop, the values passed on are ordinary ones of the block around it.
        carried.iter().for_each(|p| self.depth[p.value.index()] = depth - 1);
        self.blocks[depth - 1].push(Stmt::Loop(Loop { axis, kind, carried, body }.into()));
        Some(passed)
    }
}

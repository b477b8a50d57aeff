//! The transforms and loops, applied to small functions: what hostile arguments can do to them.
//! Programs in which they are nested are drawn elsewhere.

use std::sync::Arc;

use unloop::op::HostOp;
use unloop::prelude::*;
use unloop::{
    Array, IndexArg, Jit, Result, TensorType, all_gather, associative_scan, axis_index, axis_size,
    check_grads, custom_jvp, custom_vjp, eval_shape, grad_with_aux, hessian_tree, host_call, hvp,
    jacfwd_tree, jacrev_tree, linear_transpose, linearize, map, permute_examples, pmax, pmean,
    pmin, psum, ravel, reduce, scan_reverse, scan_times, switch, value_and_grad_with_aux,
    vectorize, while_loop_at_most,
};

use super::{Function, carried, table};

/// A function of one tensor that is smooth.
fn smooth(x: &Tensor) -> Tensor {
    (x.sin() * x).sum()
}

/// Adds the numbers of a row to those before.
fn step(c: &Tensor, x: &Tensor) -> (Tensor, Tensor) {
    let next = c + x.sum();
    (next.clone(), next)
}

pub fn functions() -> Vec<Function> {
    let mut all = derivatives();
    all.extend(lifting());
    all.extend(control());
    all
}

fn derivatives() -> Vec<Function> {
    table! { "";
        [Differentiable] fn grad(x: Anything) => grad(smooth)(x);
        [Differentiable] fn value_and_grad(x: Anything) => value_and_grad(smooth)(x);
        [Differentiable] fn grad_with_aux(x: Anything) =>
            grad_with_aux(|x: &Tensor| (smooth(x), x.clone()))(x);
        [Differentiable] fn value_and_grad_with_aux(x: Anything) =>
            value_and_grad_with_aux(|x: &Tensor| (smooth(x), x.clone()))(x);
        [Differentiable] fn jvp(x: Numbers, t: Like) => jvp(|x: &Tensor| x.sin())(x, t);
        [Differentiable] fn vjp(x: Numbers, t: Like) => {
            let (y, back) = vjp(|x: &Tensor| x.sin())(x);
            (y, back(t))
        };
        [Differentiable] fn linearize(x: Numbers, t: Like) => {
            let (y, forward) = linearize(|x: &Tensor| x.sin())(x);
            (y, forward(t))
        };
        [Differentiable] fn linear_transpose(x: Real, t: Like) =>
            linear_transpose(|x: &Tensor| x * 2.0, x)(t);
        [Differentiable] fn jacfwd(x: Anything) => jacfwd(|x: &Tensor| x.sin())(x);
        [Differentiable] fn jacrev(x: Anything) => jacrev(|x: &Tensor| x.sin())(x);
        [Differentiable] fn jacfwd(x: Real, size: Size) =>
            jacfwd(|x: &Tensor| x.sin()).chunks(size)(x);
        [Differentiable] fn jacfwd_tree(x: Anything) => jacfwd_tree(|x: &Tensor| x.sin())(x);
        [Differentiable] fn jacrev_tree(x: Anything) => jacrev_tree(|x: &Tensor| x.sin())(x);
        [Differentiable] fn hessian(x: Anything) => hessian(smooth)(x);
        [Differentiable] fn hessian_tree(x: Anything) => hessian_tree(smooth)(x);
        [Differentiable] fn hvp(x: Numbers, t: Like) => hvp(smooth)(x, t);
        [Differentiable] fn checkpoint(x: Anything) => checkpoint(|x: &Tensor| x.sin())(x);
        [Differentiable] fn custom_jvp(x: Numbers) =>
            custom_jvp(|x: &Tensor| x.sin(), |x: &Tensor, t: &Tensor| x.cos() * t)(x);
        [Differentiable] fn custom_vjp(x: Numbers) => {
            let forward = |x: &Tensor| (x.sin(), x.clone());
            custom_vjp(forward, |x: &Tensor, t: &Tensor| x.cos() * t)(x)
        };
        [Host] fn check_grads(x: Positive, twice: Flag) =>
            carried(check_grads(smooth, (x,), 1 + usize::from(twice)).map(|()| 0.0));
        [Host] fn eval_shape(x: Anything) =>
            carried(eval_shape(smooth, (x,)).map(|types| types.len() as i64));
    }
}

fn lifting() -> Vec<Function> {
    table! { "";
        [Differentiable] fn ravel(x: Real, y: Like) => {
            let (vector, unravel) = ravel(&(x.clone(), y.clone()));
            (unravel(&vector), vector)
        };
        [Differentiable] fn stack(x: Anything, y: Like) =>
            carried(<(Tensor,)>::stack([(x.clone(),), (y.clone(),)]).map(|stack| stack.0));
        [Differentiable] fn unstack(x: Ranked) => {
            let trees = (x.clone(),).unstack();
            trees.map_or_else(|e| vec![Tensor::error(e)], |all| all.into_iter().map(|t| t.0).collect())
        };
        [Differentiable] fn vmap(x: RankedNumbers, axis: ExampleAxis) => vmap(|x: &Tensor| x.clone(), axis)(x);
        [Differentiable] fn vmap(x: RankedNumbers, axis: ExampleAxis, out: Axis) =>
            vmap(|x: &Tensor| x + x, axis).out_axis(out)(x);
        [Differentiable] fn vmap(x: RankedNumbers, axis: ExampleAxis, size: Size) =>
            vmap(|x: &Tensor| x + x, axis).chunks(size)(x);
        [Differentiable] fn jit(x: Anything) => {
            let f: Jit<'_, (Tensor,), Tensor> = jit(|x: &Tensor| x.sin());
            f(x)
        };
        [Differentiable] fn vectorize(x: Ranked) => vectorize("(n)->()", |x: &Tensor| x.sum())(x);
        [Differentiable] fn map(x: Ranked) => map(|x: &Tensor| x.sin(), x);
        [Differentiable] fn all_gather(x: Ranked) =>
            vmap(|x: &Tensor| all_gather(x, "i"), 0).axis_name("i")(x);
        [Differentiable] fn psum(x: Ranked) => vmap(|x: &Tensor| psum(x, "i"), 0).axis_name("i")(x);
        [Differentiable] fn pmean(x: RankedReal) => vmap(|x: &Tensor| pmean(x, "i"), 0).axis_name("i")(x);
        [Differentiable] fn pmax(x: Ranked) => vmap(|x: &Tensor| pmax(x, "i"), 0).axis_name("i")(x);
        [Differentiable] fn pmin(x: Ranked) => vmap(|x: &Tensor| pmin(x, "i"), 0).axis_name("i")(x);
        [Differentiable] fn permute_examples(x: Ranked, source: Examples) =>
            vmap(|x: &Tensor| permute_examples(x, source, "i"), 0).axis_name("i")(x);
        [] fn axis_index(x: Ranked) =>
            vmap(|_: &Tensor| axis_index("i"), 0).axis_name("i")(x);
        [] fn axis_size(x: Ranked) => {
            let size = |_: &Tensor| Tensor::from(axis_size("i").map_or(-1, |n| n as i64));
            vmap(size, 0).axis_name("i")(x)
        };
        [Differentiable] fn each(x: Ranked) => each(|[i]| {
            let rest = (1..x.rank()).map(|_| IndexArg::from(..));
            x.at(std::iter::once(IndexArg::from(i)).chain(rest).collect::<Vec<_>>())
        });
        [Differentiable] fn each_to(x: Vector, n: Size) => each_to([n], |[i]| x.at_clipped(i.value()));
        [Host] fn host_call(x: Numbers) => {
            let op: Arc<dyn HostOp> = Arc::new(Unchanged);
            host_call(&op, &[x])
        };
    }
}

fn control() -> Vec<Function> {
    table! { "";
        [Differentiable] fn scan(x: RankedNumbers, c: One) => scan(step, c, x);
        [Differentiable] fn scan_reverse(x: RankedNumbers, c: One) => scan_reverse(step, c, x);
        [Differentiable] fn scan_times(x: Real, count: Size) =>
            scan_times(count, |c: &Tensor| (c.sin(), c.sum()), x);
        [Differentiable] fn fori_loop(x: Real, count: Times) =>
            fori_loop(count, |_, c: &Tensor| c.sin(), x);
        // A loop that the numbers of the tensor cannot keep from ending.
        [] fn while_loop(x: Real, limit: One) => {
            let few = |k: &Tensor| k.less(&Tensor::from(5i64));
            let more = |(k, c): &(Tensor, Tensor)| (c.sum() + 10.0).less(limit) & few(k);
            let next = |(k, c): &(Tensor, Tensor)| (k + 1, c + 1.0);
            while_loop(more, next, &(Tensor::from(0i64), x.clone()))
        };
        [] fn while_loop_at_most(x: Real, limit: Times) => {
            let more = |c: &Tensor| c.sum().less(&Tensor::from(10.0));
            while_loop_at_most(limit, more, |c: &Tensor| c + 1.0, x)
        };
        [Differentiable] fn cond(x: Anything, on: Condition) =>
            cond(on, |x: &Tensor| x.clone(), |x: &Tensor| x.flip([0; 0]), x);
        [Differentiable] fn switch(x: Anything, which: Position) => {
            let branches: [&(dyn Fn(&Tensor) -> Tensor + Sync); 2] = [&|x| x.clone(), &|x| x.flip([0; 0])];
            switch(which, &branches, x)
        };
        [Differentiable] fn associative_scan(x: RankedNumbers) =>
            associative_scan(|a: &Tensor, b: &Tensor| a + b, x);
        [Differentiable] fn reduce(x: RankedNumbers, init: One, axes: Axes) =>
            reduce(|a: &Tensor, b: &Tensor| a + b, x, init, axes);
    }
}

/// Gives back what it takes.
#[derive(Debug)]
struct Unchanged;

impl HostOp for Unchanged {
    fn name(&self) -> &'static str {
        "unchanged"
    }

    fn infer(&self, operands: &[TensorType]) -> Result<Vec<TensorType>, String> {
        Ok(operands.to_vec())
    }

    fn evaluate(&self, operands: &[Array]) -> Result<Vec<Array>, String> {
        Ok(operands.to_vec())
    }
}

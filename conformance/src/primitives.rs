//! JAX's primitives in terms of unloop's operations. A program runs on tensors, concrete or traced.

use std::collections::HashMap;

use serde_json::Value;
use smallvec::SmallVec;
use unloop::op::{
    Gather, GatherDims, IndexMode, Pad, PadAxis, Scatter, ScatterDims, ScatterOp, Slice,
    TriangularSolve,
};
use unloop::prelude::*;
use unloop::{
    BinaryOp, CompareOp, Conv, Direction, DotDims, Error, ErrorKind, Op, ReduceOp, Shape, UnaryOp,
    WindowAxis,
};
use unloop_graph::{Axes, Number, Place, Scalar};

use crate::arrays::{dtype, from_json, number};

/// A tensor that says that a primitive is not there.
fn unsupported(what: &str) -> Vec<Tensor> {
    let kind = ErrorKind::Unsupported(what.to_string());
    vec![Tensor::error(Error::new("conformance", kind, Place(None)))]
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn usizes<C: FromIterator<usize>>(value: &Value) -> C {
    array(value).iter().filter_map(|v| v.as_u64().map(|v| v as usize)).collect()
}

fn i64s(value: &Value) -> Vec<i64> {
    array(value).iter().filter_map(Value::as_i64).collect()
}

fn pairs(value: &Value) -> Vec<(i64, i64)> {
    array(value).iter().map(i64s).map(|p| (p[0], p[1])).collect()
}

/// Runs a program; one tensor an output.
pub fn run(program: &Value, inputs: &[Tensor]) -> Vec<Tensor> {
    let mut values: HashMap<u64, Tensor> = HashMap::new();
    let id = |value: &Value| value["v"].as_u64().unwrap_or(u64::MAX);
    for (parameter, input) in array(&program["in"]).iter().zip(inputs) {
        values.insert(id(parameter), input.clone());
    }
    for constant in array(&program["const"]) {
        let value = from_json(&constant["value"]).unwrap_or_else(|| missing("a constant"));
        values.insert(id(constant), value);
    }
    let atom = |values: &HashMap<u64, Tensor>, value: &Value| match value.get("lit") {
        Some(literal) => from_json(literal).unwrap_or_else(|| missing("a literal")),
        None => values.get(&id(value)).cloned().unwrap_or_else(|| missing("a value")),
    };
    for equation in array(&program["eqns"]) {
        let x: Vec<Tensor> = array(&equation["in"]).iter().map(|v| atom(&values, v)).collect();
        let results = apply(equation, &x);
        let outputs = array(&equation["out"]);
        for (i, output) in outputs.iter().enumerate() {
            // An error stands for all results.
            let result = results.get(i).or(results.first()).cloned();
            values.insert(id(output), result.unwrap_or_else(|| missing("a result")));
        }
    }
    array(&program["out"]).iter().map(|v| atom(&values, v)).collect()
}

fn missing(what: &str) -> Tensor {
    unsupported(what).swap_remove(0)
}

fn op(op: Op, x: &[Tensor]) -> Vec<Tensor> {
    Tensor::apply(op, &x.iter().collect::<Vec<_>>(), Place(None)).into_vec()
}

/// Scalars and axes of size 1, repeated to the extents of the others.
fn equal_shapes(x: &[Tensor]) -> Vec<Tensor> {
    let rank = x.iter().map(Tensor::rank).max().unwrap_or(0);
    let extent = |axis: usize| {
        let extents = x.iter().filter_map(|t| t.shape().get(axis).copied());
        extents.reduce(|a, b| if a == 1 { b } else { a }).unwrap_or(1)
    };
    let shape: Vec<usize> = (0..rank).map(extent).collect();
    let wide = |t: &Tensor| match t.shape() == shape {
        true => t.clone(),
        false => t.broadcast_to(&shape[..]),
    };
    x.iter().map(wide).collect()
}

fn elementwise(name: &str, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let found = |known: &'static str| known == name;
    if let Some(&unary) = UnaryOp::ALL.iter().find(|op| found(op.name())) {
        return Some(op(Op::Unary(unary), x));
    }
    let alias = if name == "add_any" { "add" } else { name };
    if let Some(&binary) = BinaryOp::ALL.iter().find(|op| op.name() == alias) {
        let x = equal_shapes(x);
        let right = x[1].cast(x[0].dtype());
        return Some(op(Op::Binary(binary), &[x[0].clone(), right]));
    }
    let compare = match name {
        "eq" => CompareOp::Eq,
        "ne" => CompareOp::Ne,
        "lt" => CompareOp::Lt,
        "le" => CompareOp::Le,
        "gt" => CompareOp::Gt,
        "ge" => CompareOp::Ge,
        _ => return None,
    };
    Some(op(Op::Compare(compare), &equal_shapes(x)))
}

fn apply(equation: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let name = equation["prim"].as_str().unwrap_or_default();
    let p = &equation["params"];
    if let Some(error) = x.iter().find(|t| t.as_error().is_some()) {
        return vec![error.clone()];
    }
    if name != "round"
        && let Some(results) = elementwise(name, x)
    {
        return results;
    }
    let axis = |key: &str| p[key].as_i64().unwrap_or(0) as isize;
    match name {
        "round" => {
            let away = p["rounding_method"].as_u64() == Some(0);
            op(Op::Unary(if away { UnaryOp::RoundAway } else { UnaryOp::Round }), x)
        }
        "integer_pow" => vec![x[0].powi(p["y"].as_i64().unwrap_or(0) as i32)],
        "copy" | "copy_p" | "optimization_barrier" => x.to_vec(),
        "stop_gradient" => op(Op::StopGradient, x),
        "convert_element_type" => match p["new_dtype"].as_str().and_then(dtype) {
            Some(to) => vec![x[0].cast(to)],
            None => unsupported("a dtype"),
        },
        "select_n" => select_n(x),
        "clamp" => vec![x[1].clamp(&x[0], &x[2])],
        "jit" | "pjit" | "remat2" | "checkpoint" | "closed_call" => run(&p["jaxpr"], x),
        "custom_jvp_call" => run(&p["call_jaxpr"], x),
        "custom_vjp_call" | "custom_vjp_call_jaxpr" => {
            let body = if p["fun_jaxpr"].is_null() { "call_jaxpr" } else { "fun_jaxpr" };
            run(&p[body], x)
        }
        "custom_linear_solve" => linear_solve(p, x),
        "platform_index" => {
            let platforms = array(&p["platforms"]);
            let default = platforms
                .iter()
                .position(|p| p.is_null() || array(p).iter().any(|p| p.as_str() == Some("cpu")));
            vec![Tensor::from(default.unwrap_or(0) as i32)]
        }
        "regularized_incomplete_beta" => op(Op::Betainc, &equal_shapes(x)),
        "cond" => cond(p, x),
        "scan" => scan(p, x),
        "while" => while_loop(p, x),
        "reshape" => {
            let x = match p["dimensions"].is_null() {
                true => x[0].clone(),
                false => permuted(&x[0], &usizes::<Vec<usize>>(&p["dimensions"])),
            };
            vec![x.reshape(usizes::<Shape>(&p["new_sizes"]))]
        }
        "squeeze" | "expand_dims" => {
            let shape = usizes::<Shape>(&equation["out"][0]["shape"]);
            vec![x[0].reshape(shape)]
        }
        "transpose" => op(Op::Transpose(usizes(&p["permutation"])), x),
        "rev" => op(Op::Reverse(usizes(&p["dimensions"])), x),
        "broadcast_in_dim" => broadcast_in_dim(p, &x[0]),
        "iota" => match p["dtype"].as_str().and_then(dtype) {
            Some(dtype) => {
                let axis = p["dimension"].as_u64().unwrap_or(0) as usize;
                vec![Tensor::iota(dtype, usizes::<Shape>(&p["shape"]), axis)]
            }
            None => unsupported("a dtype"),
        },
        "slice" => {
            let start: SmallVec<[usize; 6]> = usizes(&p["start_indices"]);
            let step = match p["strides"].is_null() {
                true => SmallVec::from_elem(1, start.len()),
                false => usizes(&p["strides"]),
            };
            op(Op::Slice(Slice { start, limit: usizes(&p["limit_indices"]), step }), x)
        }
        "pad" => {
            let amounts = array(&p["padding_config"]).iter().map(i64s);
            let amounts =
                amounts.map(|a| PadAxis { low: a[0], high: a[1], interior: a[2] as usize });
            op(Op::Pad(Pad(amounts.collect())), x)
        }
        "concatenate" => op(Op::Concatenate { axis: axis("dimension") as usize }, x),
        "stack" => vec![Tensor::stack(&x.iter().collect::<Vec<_>>(), axis("axis"))],
        "split" => {
            let mut start = 0;
            let sizes: Vec<usize> = usizes(&p["sizes"]);
            let part = |&size: &usize| {
                start += size;
                x[0].slice_axis(axis("axis"), start - size, start)
            };
            sizes.iter().map(part).collect()
        }
        "tile" => vec![tile(&x[0], &usizes::<Vec<usize>>(&p["reps"]))],
        "reduce_sum" => reduce(ReduceOp::Sum, p, x),
        "reduce_prod" => reduce(ReduceOp::Prod, p, x),
        "reduce_max" => reduce(ReduceOp::Max, p, x),
        "reduce_min" => reduce(ReduceOp::Min, p, x),
        "reduce_and" => reduce(ReduceOp::And, p, x),
        "reduce_or" => reduce(ReduceOp::Or, p, x),
        "reduce_xor" => reduce(ReduceOp::Xor, p, x),
        "argmax" | "argmin" => {
            let axis = i64s(&p["axes"]).first().copied().unwrap_or(0) as isize;
            let found =
                if name == "argmax" { x[0].argmax_axis(axis) } else { x[0].argmin_axis(axis) };
            vec![found.cast(p["index_dtype"].as_str().and_then(dtype).unwrap_or(DType::I32))]
        }
        "cumsum" => cumulative(ReduceOp::Sum, p, x),
        "cumprod" => cumulative(ReduceOp::Prod, p, x),
        "cummax" => cumulative(ReduceOp::Max, p, x),
        "cummin" => cumulative(ReduceOp::Min, p, x),
        "cumlogsumexp" => vec![x[0].cumlogsumexp_from(axis("axis"), direction(p))],
        "dot_general" => dot_general(equation, x),
        "conv_general_dilated" => conv(p, x),
        "reduce_window_sum" => vec![x[0].reduce_window(ReduceOp::Sum, &windows(p))],
        "reduce_window_max" => vec![x[0].reduce_window(ReduceOp::Max, &windows(p))],
        "reduce_window_min" => vec![x[0].reduce_window(ReduceOp::Min, &windows(p))],
        "reduce_window" => reduce_window(p, x),
        "select_and_scatter_add" => {
            let extreme = match p["select_prim"].as_str() {
                Some("ge" | "gt") => ReduceOp::Max,
                _ => ReduceOp::Min,
            };
            vec![x[0].select_and_scatter_add(&x[1], extreme, &windows(p))]
        }
        "reduce" => general_reduce(p, x),
        "gather" => gather(p, x),
        "scatter" => scatter(ScatterOp::Set, p, x),
        "scatter-add" => scatter(ScatterOp::Add, p, x),
        "scatter-mul" => scatter(ScatterOp::Mul, p, x),
        "scatter-min" => scatter(ScatterOp::Min, p, x),
        "scatter-max" => scatter(ScatterOp::Max, p, x),
        "dynamic_slice" => {
            let starts: Vec<&Tensor> = x[1..].iter().collect();
            vec![x[0].dynamic_slice(&starts, &usizes::<Vec<usize>>(&p["slice_sizes"]))]
        }
        "dynamic_update_slice" => {
            let starts: Vec<&Tensor> = x[2..].iter().collect();
            vec![x[0].dynamic_update_slice(&x[1], &starts)]
        }
        "sort" => {
            let keys = p["num_keys"].as_u64().unwrap_or(1) as usize;
            Tensor::sort_by(&x.iter().collect::<Vec<_>>(), keys, axis("dimension"), false)
        }
        "top_k" => top_k(&x[0], p["k"].as_u64().unwrap_or(0) as usize, axis("axis")),
        "cholesky" => {
            // JAX's primitive leaves the operand in the other triangle.
            let n = x[0].shape()[x[0].rank() - 1];
            let row = |axis| Tensor::iota(DType::I32, [n, n], axis);
            let above = row(0).less(&row(1)).broadcast_to(x[0].shape());
            let lower = op(Op::Cholesky { checked: false }, x).swap_remove(0);
            vec![above.select(&x[0].stop_gradient(), &lower)]
        }
        "lu" => op(Op::Lu, x),
        "qr" if p["pivoting"].as_bool() == Some(true) => unsupported("QR with pivoting"),
        "qr" => op(Op::Qr { full: p["full_matrices"].as_bool() == Some(true) }, x),
        "svd" => {
            let is = |key: &str| p[key].as_bool() == Some(true);
            op(Op::Svd { full: is("full_matrices"), vectors: is("compute_uv") }, x)
        }
        "eigh" => {
            // The triangle that is read.
            let a = if p["lower"].as_bool() == Some(false) { x[0].mt() } else { x[0].clone() };
            let mut results = op(Op::Eigh, &[a]);
            results.reverse();
            results
        }
        "triangular_solve" => triangular_solve(p, x),
        other => unsupported(&format!("the primitive {other}")),
    }
}

fn select_n(x: &[Tensor]) -> Vec<Tensor> {
    let cases = equal_shapes(&x[1..]);
    let which = |t: Tensor| match t.rank() {
        0 => t.broadcast_to(cases[0].shape()),
        _ => t,
    };
    if x[0].dtype() == DType::Bool {
        let which = which(x[0].clone());
        return op(Op::Select, &[which, cases[1].clone(), cases[0].clone()]);
    }
    let mut result = cases[cases.len() - 1].clone();
    for (i, case) in cases.iter().enumerate().rev().skip(1) {
        let here = which(x[0].less_equal(&Tensor::from(i as i64).cast(x[0].dtype())));
        result = here.select(case, &result);
    }
    vec![result]
}

/// The solution of a linear system whose `solve` may stop derivatives: one step of refinement from
/// it, `x + solve(b - A·x)`, has the derivative of the solution, through the product with `A`.
fn linear_solve(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let lengths = &p["const_lengths"];
    let length = |key: &str| lengths[key].as_u64().unwrap_or(0) as usize;
    let start = length("matvec") + length("vecmat");
    let all = start + length("solve") + length("transpose_solve");
    let stopped = |xs: &[Tensor]| xs.iter().map(Tensor::stop_gradient).collect::<Vec<_>>();
    let (matrix, factors) = (&x[..length("matvec")], stopped(&x[start..start + length("solve")]));
    let solve = |b: &[Tensor]| run(&p["jaxprs"]["solve"], &[&factors[..], b].concat());
    let right = &x[all..];
    let first = solve(&stopped(right));
    let product = run(&p["jaxprs"]["matvec"], &[matrix, &first].concat());
    let rest: Vec<Tensor> = right.iter().zip(&product).map(|(b, ax)| b - ax).collect();
    solve(&rest).iter().zip(&first).map(|(correction, x)| x + correction).collect()
}

fn cond(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let branches = array(&p["branches"]);
    match x[0].cast(DType::I64).item::<i64>() {
        Ok(index) => {
            let last = branches.len() as i64 - 1;
            run(&branches[index.clamp(0, last) as usize], &x[1..])
        }
        Err(_) => {
            let operands = x[1..].to_vec();
            let branch = |i: usize| move |x: &Vec<Tensor>| run(&branches[i], x);
            let index = x[0].cast(DType::I32);
            match branches.len() {
                2 => unloop::switch(&index, &[&branch(0), &branch(1)], &operands),
                3 => unloop::switch(&index, &[&branch(0), &branch(1), &branch(2)], &operands),
                n => unsupported(&format!("cond of {n} branches")),
            }
        }
    }
}

fn scan(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let count = |key: &str| p[key].as_u64().unwrap_or(0) as usize;
    let (shared, carry) = (count("num_consts"), count("num_carry"));
    let step = |state: &Vec<Tensor>, entries: &Vec<Tensor>| {
        // The last entry is the number of the run.
        let entries = &entries[..entries.len() - 1];
        let mut next = run(&p["jaxpr"], &[&x[..shared], state, entries].concat());
        let results = next.split_off(carry.min(next.len()));
        (next, results)
    };
    let init = x[shared..shared + carry].to_vec();
    let mut entries = x[shared + carry..].to_vec();
    entries.push(Tensor::iota(DType::I64, [count("length")], 0));
    let (last, results) = match p["reverse"].as_bool() {
        Some(true) => unloop::scan_reverse(step, &init, &entries),
        _ => unloop::scan(step, &init, &entries),
    };
    [last, results].concat()
}

fn while_loop(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let count = |key: &str| p[key].as_u64().unwrap_or(0) as usize;
    let (first, second) = (count("cond_nconsts"), count("body_nconsts"));
    let (asked, rest) = x.split_at(first);
    let (fixed, init) = rest.split_at(second);
    let condition =
        |state: &Vec<Tensor>| run(&p["cond_jaxpr"], &[asked, state].concat()).swap_remove(0);
    // A condition with axes is one for each example: those that are done keep their values.
    let keep = |go_on: &Tensor, next: &Tensor, old: &Tensor| match go_on.rank() {
        0 => next.clone(),
        rank => go_on.broadcast_in_dim(next.shape(), (0..rank).collect()).select(next, old),
    };
    unloop::while_loop(
        |state: &Vec<Tensor>| condition(state).any(),
        |state: &Vec<Tensor>| {
            let next = run(&p["body_jaxpr"], &[fixed, state].concat());
            let go_on = condition(state);
            next.iter().zip(state).map(|(next, old)| keep(&go_on, next, old)).collect()
        },
        &init.to_vec(),
    )
}

fn broadcast_in_dim(p: &Value, x: &Tensor) -> Vec<Tensor> {
    let shape: Shape = usizes(&p["shape"]);
    let dims: Axes = usizes(&p["broadcast_dimensions"]);
    // Axes of size 1 that are stretched are not there for unloop.
    let stays = |(i, d): (usize, &usize)| (x.shape()[i] == shape[*d]).then_some((i, *d));
    let kept: Vec<(usize, usize)> = dims.iter().enumerate().filter_map(stays).collect();
    let narrow = x.reshape(kept.iter().map(|k| x.shape()[k.0]).collect::<Shape>());
    vec![narrow.broadcast_in_dim(shape, kept.iter().map(|k| k.1).collect())]
}

fn tile(x: &Tensor, reps: &[usize]) -> Tensor {
    let mut result = x.clone();
    while result.rank() < reps.len() {
        result = result.expand_dims(0);
    }
    let skip = result.rank() - reps.len();
    for (i, &count) in reps.iter().enumerate() {
        let parts: Vec<&Tensor> = std::iter::repeat_n(&result, count).collect();
        result = Tensor::concatenate(&parts, (i + skip) as isize);
    }
    result
}

fn reduce(how: ReduceOp, p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let mut axes: Axes = usizes(&p["axes"]);
    axes.sort_unstable();
    match (how, x[0].dtype()) {
        // Sums and products of truth values do not come up; any and all do.
        (_, _) if axes.is_empty() => vec![x[0].clone()],
        _ => op(Op::Reduce { op: how, axes }, x),
    }
}

fn direction(p: &Value) -> Direction {
    match p["reverse"].as_bool() {
        Some(true) => Direction::Reverse,
        _ => Direction::Forward,
    }
}

fn cumulative(how: ReduceOp, p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    vec![x[0].cumulative_reduce(how, p["axis"].as_i64().unwrap_or(0) as isize, direction(p))]
}

fn dot_general(equation: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let numbers = &equation["params"]["dimension_numbers"];
    let dims = DotDims {
        lhs_contract: usizes(&numbers[0][0]),
        rhs_contract: usizes(&numbers[0][1]),
        lhs_batch: usizes(&numbers[1][0]),
        rhs_batch: usizes(&numbers[1][1]),
    };
    let wide = equation["out"][0]["dtype"].as_str().and_then(dtype).unwrap_or(x[0].dtype());
    if wide == DType::Bool {
        // Truth values: whether there is any pair of trues.
        let product = x[0].cast(DType::I32).dot_general(&x[1].cast(DType::I32), dims);
        return vec![product.cast(DType::Bool)];
    }
    let (a, b) = (x[0].cast(wide), x[1].cast(wide));
    vec![a.dot_general(&b, dims)]
}

fn permuted(x: &Tensor, axes: &[usize]) -> Tensor {
    x.permute(&axes.iter().map(|&a| a as isize).collect::<Vec<_>>())
}

fn conv(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let spec = |key: &str| usizes::<Vec<usize>>(&p["dimension_numbers"][key]);
    let input = permuted(&x[0], &spec("lhs_spec"));
    let kernel = permuted(&x[1], &spec("rhs_spec"));
    let wide = p["preferred_element_type"].as_str().and_then(dtype).unwrap_or(x[0].dtype());
    let (mut input, kernel) = (input.cast(wide), kernel.cast(wide));
    let strides: Vec<usize> = usizes(&p["window_strides"]);
    let base: Vec<usize> = usizes(&p["lhs_dilation"]);
    let inner: Vec<usize> = usizes(&p["rhs_dilation"]);
    let padding = pairs(&p["padding"]);
    let windows = (0..strides.len()).map(|i| WindowAxis {
        size: 1,
        stride: strides[i],
        padding: padding[i],
        base_dilation: base[i],
        window_dilation: inner[i],
    });
    let windows: Vec<WindowAxis> = windows.collect();
    let groups = p["feature_group_count"].as_u64().unwrap_or(1) as usize;
    let batches = p["batch_group_count"].as_u64().unwrap_or(1) as usize;
    let mut how = Conv { windows, groups };
    if batches > 1 {
        // Groups of examples, each for its own features, are groups of channels.
        let shape = input.shape().to_vec();
        let split = [&[batches, shape[0] / batches], &shape[1..]].concat();
        let joined = [&[shape[0] / batches, batches * shape[1]], &shape[2..]].concat();
        input = input.reshape(&split[..]).move_axis(0, 1).reshape(&joined[..]);
        how.groups = batches;
    }
    let y = input.conv(&kernel, &how);
    if y.as_error().is_some() {
        return vec![y];
    }
    let out = spec("out_spec");
    let mut inverse = vec![0; out.len()];
    out.iter().enumerate().for_each(|(i, &a)| inverse[a] = i);
    vec![permuted(&y, &inverse)]
}

fn windows(p: &Value) -> Vec<WindowAxis> {
    let sizes: Vec<usize> = usizes(&p["window_dimensions"]);
    let strides: Vec<usize> = usizes(&p["window_strides"]);
    let padding = pairs(&p["padding"]);
    let dilation = |key: &str, i: usize| -> usize {
        p[key].get(i).and_then(Value::as_u64).unwrap_or(1) as usize
    };
    let axis = |i: usize| WindowAxis {
        size: sizes[i],
        stride: strides[i],
        padding: padding[i],
        base_dilation: dilation("base_dilation", i),
        window_dilation: dilation("window_dilation", i),
    };
    (0..sizes.len()).map(axis).collect()
}

/// The reduction of a sub-program of one equation.
fn known_reduction(program: &Value) -> Option<ReduceOp> {
    let [equation] = array(&program["eqns"]) else { return None };
    Some(match equation["prim"].as_str()? {
        "add" => ReduceOp::Sum,
        "mul" => ReduceOp::Prod,
        "max" => ReduceOp::Max,
        "min" => ReduceOp::Min,
        "and" => ReduceOp::And,
        "or" => ReduceOp::Or,
        "xor" => ReduceOp::Xor,
        _ => return None,
    })
}

fn reduce_window(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let (Some(how), [operand, init]) = (known_reduction(&p["jaxpr"]), x) else {
        return unsupported("reduce_window of a function");
    };
    // Padding is the initial value, which is combined once with every window, too.
    let windows = windows(p);
    let padding = windows.iter().map(|w| PadAxis {
        low: w.padding.0,
        high: w.padding.1,
        interior: w.base_dilation - 1,
    });
    let padded = operand.pad_with(Pad(padding.collect()), init);
    let plain: Vec<WindowAxis> =
        windows.iter().map(|w| WindowAxis { padding: (0, 0), base_dilation: 1, ..*w }).collect();
    let reduced = padded.reduce_window(how, &plain);
    let init = init.broadcast_to(reduced.shape());
    op(Op::Binary(how.binary()), &[init, reduced])
}

fn general_reduce(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let count = x.len() / 2;
    let axes: Vec<usize> = usizes(&p["dimensions"]);
    let (operands, inits) = x.split_at(count);
    // All reduced axes as one, in front.
    let rank = operands[0].rank();
    let kept: Vec<usize> = (0..rank).filter(|a| !axes.contains(a)).collect();
    let order: Vec<usize> = axes.iter().chain(&kept).copied().collect();
    let size: usize = axes.iter().map(|&a| operands[0].shape()[a]).product();
    let rest: Vec<usize> = kept.iter().map(|&a| operands[0].shape()[a]).collect();
    let mut parts: Vec<Tensor> = operands
        .iter()
        .map(|x| permuted(x, &order).reshape(&[&[size][..], &rest].concat()[..]))
        .collect();
    let combine = |a: Vec<Tensor>, b: Vec<Tensor>| run(&p["jaxpr"], &[a, b].concat());
    let mut n = size;
    while n > 1 {
        let half = n / 2;
        let take = |x: &Tensor, start, end| x.slice_axis(0, start, end);
        let front: Vec<Tensor> = parts.iter().map(|x| take(x, 0, half)).collect();
        let back: Vec<Tensor> = parts.iter().map(|x| take(x, half, 2 * half)).collect();
        let combined = combine(front, back);
        let last = |(c, x): (Tensor, &Tensor)| match n % 2 {
            0 => c,
            _ => Tensor::concatenate(&[&c, &take(x, n - 1, n)], 0),
        };
        parts = combined.into_iter().zip(&parts).map(last).collect();
        n = n.div_ceil(2);
    }
    let starts: Vec<Tensor> = inits.iter().map(|init| init.broadcast_to(&rest[..])).collect();
    if size == 0 {
        return starts;
    }
    let totals = parts.iter().map(|x| x.reshape(&rest[..])).collect();
    combine(starts, totals)
}

/// The mode of indices that a case promises to be in bounds, where the promise is checked.
pub const CHECKED: &str = "CHECKED";

fn mode(p: &Value, fill: Scalar, drops: bool) -> IndexMode {
    match p["mode"].as_str() {
        Some("FILL_OR_DROP") => IndexMode::Fill(fill),
        Some(CHECKED) => IndexMode::Error,
        // What is promised to be in bounds and is not: gathers are clipped, scatters dropped.
        Some("PROMISE_IN_BOUNDS") if drops => IndexMode::Fill(fill),
        _ => IndexMode::Clip,
    }
}

fn gather(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let numbers = &p["dimension_numbers"];
    let dims = GatherDims {
        offset_dims: usizes(&numbers["offset_dims"]),
        collapsed_slice_dims: usizes(&numbers["collapsed_slice_dims"]),
        start_index_map: usizes(&numbers["start_index_map"]),
        operand_batching_dims: usizes(&numbers["operand_batching_dims"]),
        start_indices_batching_dims: usizes(&numbers["start_indices_batching_dims"]),
    };
    let kind = x[0].dtype();
    let fill = match (p["fill_value"].as_i64(), number(&p["fill_value"])) {
        (Some(value), _) if kind.is_int() => Number::Int(value.into()),
        (_, Some(value)) => Number::Float(value),
        // JAX fills with NaN, the least integer, the greatest unsigned one, true.
        (_, None) => match kind {
            DType::F32 | DType::F64 => Number::Float(f64::NAN),
            DType::I32 => Number::Int(i32::MIN.into()),
            DType::I64 => Number::Int(i64::MIN.into()),
            DType::U32 => Number::Int(u32::MAX.into()),
            DType::Bool => Number::Bool(true),
        },
    };
    let mode = mode(p, Scalar::new(kind, fill), false);
    op(Op::Gather(Gather { dims, slice_sizes: usizes(&p["slice_sizes"]), mode }), x)
}

fn scatter(how: ScatterOp, p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let numbers = &p["dimension_numbers"];
    let dims = ScatterDims {
        update_window_dims: usizes(&numbers["update_window_dims"]),
        inserted_window_dims: usizes(&numbers["inserted_window_dims"]),
        scatter_dims_to_operand_dims: usizes(&numbers["scatter_dims_to_operand_dims"]),
        operand_batching_dims: usizes(&numbers["operand_batching_dims"]),
        scatter_indices_batching_dims: usizes(&numbers["scatter_indices_batching_dims"]),
    };
    let zero = ReduceOp::Or.identity(x[0].dtype());
    op(Op::Scatter(Scatter { dims, op: how, mode: mode(p, zero, true) }), x)
}

/// JAX orders floats by their bits here: a NaN with a sign is the least, -0 is less than +0.
fn top_k(x: &Tensor, k: usize, axis: isize) -> Vec<Tensor> {
    let key = match x.dtype() {
        DType::F32 => ordered_bits(&x.bitcast(DType::I32), 31, i32::MAX.into()),
        DType::F64 => ordered_bits(&x.bitcast(DType::I64), 63, i64::MAX),
        DType::Bool | DType::I32 | DType::I64 | DType::U32 => x.clone(),
    };
    let at = if axis < 0 { axis + x.rank() as isize } else { axis };
    let positions = Tensor::iota(DType::I32, x.shape(), at as usize);
    let sorted = Tensor::sort_by(&[&key, x, &positions], 1, axis, true);
    sorted[1..].iter().map(|s| s.slice_axis(axis, 0, k)).collect()
}

/// Bits of floats as integers of the same order: those of negative numbers count backwards.
fn ordered_bits(bits: &Tensor, sign: i32, magnitude: i64) -> Tensor {
    let scalar = |value: i64| Tensor::from(value).cast(bits.dtype());
    bits ^ (bits.shift_right(&scalar(sign.into())) & scalar(magnitude))
}

fn triangular_solve(p: &Value, x: &[Tensor]) -> Vec<Tensor> {
    let is = |key: &str| p[key].as_bool().unwrap_or(false);
    let how = TriangularSolve {
        lower: is("lower"),
        transpose: is("transpose_a"),
        unit_diagonal: is("unit_diagonal"),
    };
    if is("left_side") {
        return op(Op::TriangularSolve(how), x);
    }
    // X·A = B is Aᵀ·Xᵀ = Bᵀ.
    let how = TriangularSolve { transpose: !how.transpose, ..how };
    let solved = op(Op::TriangularSolve(how), &[x[0].clone(), x[1].mt()]);
    vec![solved[0].mt()]
}

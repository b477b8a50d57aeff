//! Machine code has the bits of the tile machine, for any number of lanes and with more values than
//! registers; loops that run too long end with an error.

use unloop::prelude::*;
use unloop::{CancelToken, ErrorKind, Graph, Result, while_loop_at_most};
use unloop_cpu::Cpu;
use unloop_graph::Array;
use unloop_tests::{deviation, tensor};

/// Runs a program by tiles and by code; what code it has.
fn check(graph: &Graph, inputs: &[&Tensor], what: &str) -> Result<String> {
    let (Some(code), Some(set)) = (Cpu::compile_for(graph, "code"), Cpu::instruction_sets().pop())
    else {
        return Ok("as machine code".into());
    };
    let Some(tiles) = Cpu::compile_for(graph, set) else { unreachable!("the best one is there") };
    let inputs: Result<Vec<Array>> = inputs.iter().map(|x| x.value("test").cloned()).collect();
    let (inputs, code) = (inputs?, code?);
    for (a, b) in code.run(&inputs)?.iter().zip(&tiles?.run(&inputs)?) {
        assert_eq!(deviation(a, b), 0.0, "{what}\n{}", code.describe());
    }
    Ok(code.describe())
}

/// Many values that all are read again at the end.
fn crowded(x: &Tensor, y: &Tensor) -> Tensor {
    let mut all = vec![x * y, x + y, x - y];
    for i in 0..24 {
        let (a, b) = (&all[i], &all[(i * 7 + 1) % all.len()]);
        let next = match i % 6 {
            0 => a.maximum(b),
            1 => a * b - x,
            2 => b.less(a).select(a, y),
            3 => a.clamp(&x.minimum(y), &x.maximum(y)),
            4 => -a + b.sign() * a.abs(),
            _ => a.square() - b,
        };
        all.push(next);
    }
    all.iter().rev().fold(x.clone(), |sum, v| sum * 0.5f32.cast_to(x) + v)
}

trait CastTo {
    fn cast_to(self, like: &Tensor) -> Tensor;
}

impl CastTo for f32 {
    fn cast_to(self, like: &Tensor) -> Tensor {
        Tensor::from(2.0 * self).cast(like.dtype())
    }
}

#[test]
fn more_values_than_registers() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(91);
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64] {
        for n in (1..20).chain([64, 1000]) {
            let (x, y) = (tensor(&mut rng, dtype, &[n]), tensor(&mut rng, dtype, &[n]));
            let graph = jit(crowded).graph((&x, &y))?;
            let text = check(&graph, &[&x, &y], &format!("{dtype:?} {n}"))?;
            assert!(text.contains("as machine code"), "{text}");
        }
    }
    Ok(())
}

/// Numbers of several widths, booleans among them, in lanes that end at different times.
#[test]
fn lanes_that_end_at_different_times() -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(92);
    let walk = |x: &Tensor, single: &Tensor| {
        let on = |(v, n, _, _): &(Tensor, Tensor, Tensor, Tensor)| {
            v.abs().less(&Tensor::from(3.0)) & n.less(&Tensor::from(40i32))
        };
        let step = |(v, n, s, odd): &(Tensor, Tensor, Tensor, Tensor)| {
            let next = v * 1.25 + s.cast(DType::F64) * 0.01;
            (next, n + 1, odd.select(&(s * 0.5f32), &(s + 1.0f32)), odd.logical_not())
        };
        while_loop(on, step, &(x.clone(), Tensor::from(0i32), single.clone(), x.greater(0.0)))
    };
    for n in [1usize, 3, 4, 9, 30, 50, 403] {
        let x = tensor(&mut rng, DType::F64, &[n]);
        let single = tensor(&mut rng, DType::F32, &[n]);
        check(&vmap(walk, (0, 0)).graph((&x, &single))?, &[&x, &single], "walks")?;
    }
    Ok(())
}

#[test]
fn loops_end_when_they_must() -> Result<()> {
    let on = |v: &Tensor| v.less(&Tensor::from(1e6));
    let grow = |x: &Tensor| while_loop_at_most(50, on, |v: &Tensor| v + 1.0, x);
    for n in [1usize, 4, 40] {
        let graph = vmap(grow, 0).graph((&Tensor::zeros(DType::F64, [n]),))?;
        let Some(code) = Cpu::compile_for(&graph, "code") else { return Ok(()) };
        let x = Tensor::from(vec![999_990.0; n]);
        let inputs = [x.value("test")?.clone()];
        assert!(code?.run(&inputs).is_ok());
        let Some(code) = Cpu::compile_for(&graph, "code") else { return Ok(()) };
        let inputs = [(x - 100.0).value("test")?.clone()];
        let error = code?.run(&inputs).err().map(|e| e.kind().clone());
        assert_eq!(error, Some(ErrorKind::LoopLimit { limit: 50 }), "{n}");
    }
    // Nobody wants it any more.
    let spin = jit(|x: &Tensor| fori_loop(1 << 40, |_: &Tensor, v: &Tensor| v * 0.999 + 0.1, x));
    let token = CancelToken::after(std::time::Duration::from_millis(50));
    let ended = token.run(|| spin.try_call((&Tensor::from(1.0),)));
    assert_eq!(ended.err().map(|e| e.kind().clone()), Some(ErrorKind::Cancelled));
    Ok(())
}

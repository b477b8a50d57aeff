//! Trees as vectors, stacks of trees, second derivatives in trees.

use unloop::prelude::*;
use unloop::{ErrorKind, Result, hessian_tree, jacfwd, nn, random, ravel};
use unloop_tests::assert_close;

type Pair = (Tensor, Vec<Tensor>);

fn pair() -> Pair {
    let matrix = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    (matrix, vec![Tensor::from(7.0), Tensor::zeros(DType::F64, [0, 2]), Tensor::from([8.0, 9.0])])
}

fn equal(a: &impl Tree, b: &impl Tree) {
    assert_eq!(a.structure(), b.structure());
    a.leaves().iter().zip(b.leaves()).for_each(|(a, b)| assert_close(a, &b, "a leaf"));
}

#[test]
fn a_tree_is_a_vector_and_back() -> Result<()> {
    let tree = pair();
    let (vector, unravel) = ravel(&tree);
    assert_eq!(vector.to_vec::<f64>()?, (1..10).map(f64::from).collect::<Vec<_>>());
    equal(&unravel(&vector), &tree);
    // What holds a static field, and integers.
    let norm = nn::LayerNorm::new(DType::F32, 3);
    let (vector, unravel) = ravel(&norm);
    assert_eq!((vector.dtype(), vector.size()), (DType::F32, 6));
    assert_eq!(unravel(&vector).epsilon, norm.epsilon);
    let (vector, unravel) = ravel(&(Tensor::from([1, 2]), Tensor::from(3)));
    assert_eq!(unravel(&(vector + 1)).1.item::<i32>()?, 4);
    let (vector, unravel) = ravel(&Vec::<Tensor>::new());
    assert_eq!(vector.shape(), [0]);
    assert!(unravel(&vector).is_empty());
    Ok(())
}

#[test]
fn vectors_of_trees_under_every_transform() -> Result<()> {
    let f = |p: &Pair| (p.0.sin().sum() * &p.1[0]) + p.1[2].prod();
    let (vector, unravel) = ravel(&pair());
    let flat = |v: &Tensor| f(&unravel(v));
    // Gradients of the vector are vectors of the gradients.
    let expected = ravel(&grad(f)(&pair())).0;
    assert_close(&grad(flat)(&vector), &expected, "a gradient");
    assert_close(&jit(grad(flat))(&vector), &expected, "compiled");
    let inside = jit(|p: &Pair| ravel(&grad(f)(p)).0);
    assert_close(&inside(&pair()), &expected, "raveled inside");
    // Inside and back, for each of several trees.
    let stack = Tree::stack([pair(), pair().map_leaves(|x| x * 2.0)])?;
    let vectors = vmap(|p: &Pair| ravel(p).0, 0)(&stack);
    assert_eq!(vectors.shape(), [2, 9]);
    let back = jit(vmap(
        |p: &Pair| {
            let (vector, unravel) = ravel(p);
            unravel(&(vector * 3.0))
        },
        0,
    ));
    equal(&back(&stack), &stack.map_leaves(|x| x * 3.0));
    // Forward derivatives, and the loss of a loop's state.
    let j = jacfwd(|v: &Tensor| ravel(&unravel(v).map_leaves(Tensor::square)).0)(&vector);
    assert_close(&j, &(&vector * 2.0).diag(0), "a Jacobian");
    let steps = fori_loop(3, |_, p: &Pair| unravel(&(ravel(p).0 + 1.0)), &pair());
    equal(&steps, &pair().map_leaves(|x| x + 3.0));
    // Weights of an integral over the parameters: a function that made itself inside of a trace.
    let norms = jit(vmap(|p: &Pair| ravel(p).0.norm(), 0))(&stack);
    assert_close(&norms.at(1), &(norms.at(0) * 2.0), "norms");
    Ok(())
}

#[test]
fn what_is_no_vector_of_a_tree_is_an_error() {
    let mixed = vec![(Tensor::from([1.0f32]), Tensor::from([1.0f64]))];
    let (vector, _) = ravel(&mixed);
    let error = vector.check().cloned().expect_err("two dtypes");
    assert_eq!(error.op(), "ravel");
    for part in ["0.0 is f32", "0.1 is f64", "cast", "trees.rs"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let (_, unravel) = ravel(&pair());
    for wrong in [Tensor::zeros(DType::F64, 8), Tensor::zeros(DType::F32, 9), Tensor::from(1.0)] {
        let error = unravel(&wrong).check().cloned().expect_err("another length or dtype");
        assert!(error.op() == "ravel" && error.to_string().contains("f64[9]"), "{error}");
    }
    let failed = Tensor::from([1.0, 2.0]) + Tensor::from([1.0, 2.0, 3.0]);
    let carried = |x: &Tensor| x.as_error().map(|e| e.op());
    let (vector, unravel) = ravel(&(failed.clone(), Tensor::from(1.0)));
    assert_eq!(carried(&vector), Some("add"));
    assert_eq!(carried(&unravel(&failed).0), Some("add"));
}

#[test]
fn second_derivatives_in_trees() -> Result<()> {
    let f = |p: &Pair| (p.0.sin().sum() * &p.1[0]) + p.1[2].prod();
    let at = pair();
    let blocks = hessian_tree(f)(&at);
    assert_eq!(blocks.len(), 4);
    let (vector, unravel) = ravel(&at);
    let matrix = hessian(|v: &Tensor| f(&unravel(v)))(&vector);
    let leaves = at.leaves();
    let mut row = 0;
    for (block, x) in blocks.iter().zip(&leaves) {
        let mut column = 0;
        for (part, y) in block.leaves().iter().zip(&leaves) {
            let (m, n) = (x.size(), y.size());
            assert_eq!(part.shape(), [x.shape(), y.shape()].concat());
            let part = part.reshape([m, n]);
            let of = matrix.slice_axis(0, row, row + m).slice_axis(1, column, column + n);
            assert_close(&part, &of, "a block");
            column += n;
        }
        row += x.size();
    }
    // Of several arguments, for many points, compiled.
    let g = |p: &(Tensor, Tensor), c: &Tensor| (&p.0 * &p.1 * c).sum();
    let points = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 4.0]));
    let many = jit(vmap(hessian_tree(g), (0, Shared)))(&points, &Tensor::from(5.0));
    assert_eq!(many[0].1.to_vec::<f64>()?, [5.0, 5.0]);
    assert_eq!(many[1].1.to_vec::<f64>()?, [0.0, 0.0]);
    let wrong = hessian_tree(|p: &(Tensor, Tensor)| p.0.clone())(&points);
    let error = wrong[0].check().map(drop).expect_err("no scalar");
    assert_eq!(error.op(), "hessian_tree", "{error}");
    Ok(())
}

#[derive(Tree, Clone, Debug)]
struct Call {
    strike: Tensor,
    years: Tensor,
    is_put: Tensor,
}

#[test]
fn structs_of_numbers_become_a_struct_of_arrays() -> Result<()> {
    let rows: Vec<(f64, f64, bool)> =
        (0..20_000).map(|i| (f64::from(i), 0.5, i % 3 == 0)).collect();
    let calls = Call::stack(rows.iter().map(|&(strike, years, is_put)| Call {
        strike: strike.into(),
        years: years.into(),
        is_put: is_put.into(),
    }))?;
    assert_eq!(
        (calls.strike.ty().to_string(), calls.is_put.dtype()),
        ("f64[20000]".into(), DType::Bool)
    );
    let value = |c: &Call| c.is_put.select(&-&c.strike, &c.strike) * &c.years;
    let values = vmap(value, 0)(&calls).to_vec::<f64>()?;
    assert_eq!(values[..4], [0.0, 0.5, 1.0, -1.5]);
    let back = calls.unstack()?;
    assert_eq!(back.len(), 20_000);
    assert_eq!((back[7].strike.item::<f64>()?, back[9].is_put.item::<bool>()?), (7.0, true));
    Ok(())
}

#[test]
fn stacks_of_trees() -> Result<()> {
    let keys = [1, 2, 3].map(random::key);
    let layers = keys.each_ref().map(|key| nn::Linear::new(key, DType::F64, 2, 2));
    let all = nn::Linear::stack(&layers)?;
    assert_eq!(all.weight.shape(), [3, 2, 2]);
    let x = Tensor::from([1.0, -1.0]);
    let outputs = vmap(|layer: &nn::Linear, x: &Tensor| layer.call(x), (0, Shared))(&all, &x);
    layers.iter().zip(outputs.unstack(0)).for_each(|(layer, y)| {
        assert_close(&layer.call(&x), &y, "one of the layers");
    });
    // The layers one after the other, by a loop over their stack.
    let (y, _) = scan(|x: &Tensor, layer: &nn::Linear| (layer.call(x), ()), &x, &all);
    let expected = layers.iter().fold(x.clone(), |x, layer| layer.call(&x));
    assert_close(&y, &expected, "one after the other");
    for (a, b) in layers.iter().zip(all.unstack()?) {
        equal(a, &b);
    }
    assert_eq!(random::Key::stack(&keys)?.data().shape(), [3, 2]);
    // Inside of a transform.
    let twice = jit(|x: &Tensor| {
        <(Tensor,)>::stack([(x.clone(),), (x * 2.0,)]).map_or_else(Tensor::error, |s| s.0)
    });
    assert_eq!(twice(&x).to_vec::<f64>()?, [1.0, -1.0, 2.0, -2.0]);
    Ok(())
}

#[test]
fn what_cannot_be_stacked_is_an_error() {
    let none: [Pair; 0] = [];
    let error = Tree::stack(none).map(|_: Pair| ()).expect_err("no trees");
    assert_eq!(error.op(), "stack");
    assert!(error.location().is_some_and(|at| at.file().ends_with("trees.rs")), "{error}");
    let other = (Tensor::from(1.0), vec![]);
    let error = Tree::stack([pair(), other]).map(|_: Pair| ()).expect_err("another structure");
    assert!(matches!(error.kind(), ErrorKind::TreeMismatch { .. }), "{error}");
    for wrong in [Tensor::from(1.0f32), Tensor::from([1.0])] {
        let error = Tree::stack([(Tensor::from(1.0),), (wrong,)]).map(|_: (Tensor,)| ());
        assert_eq!(error.expect_err("another dtype or shape").op(), "stack");
    }
    let error = pair().unstack().map(|_| ()).expect_err("a scalar");
    assert!(error.op() == "unstack" && error.to_string().contains("1.0"), "{error}");
    let sizes = (Tensor::from([1.0, 2.0]), Tensor::from([1.0]));
    let error = sizes.unstack().map(|_| ()).expect_err("two sizes");
    assert!(matches!(error.kind(), ErrorKind::BatchSizes { .. }), "{error}");
    assert!(Vec::<Tensor>::new().unstack().is_err());
}

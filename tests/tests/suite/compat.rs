//! The compatibility table: what it claims compiles, and its counts are those of its rows.

#![allow(dead_code, unused_variables)]
#![allow(clippy::all)]

use std::collections::BTreeMap;

use unloop::op::HostOp;
use unloop::prelude::*;
use unloop::random::Key;
use unloop::*;

/// What the expressions of the table speak of.
struct Given {
    x: Tensor,
    y: Tensor,
    a: Tensor,
    b: Tensor,
    n: Tensor,
    m: Tensor,
    i: Tensor,
    mask: Tensor,
    key: Key,
    z: Complex,
    w: Complex,
    dtype: DType,
    f: fn(&Tensor) -> Tensor,
    op: std::sync::Arc<dyn HostOp>,
}

include!(concat!(env!("OUT_DIR"), "/compat.rs"));

#[test]
fn the_counts_are_those_of_the_rows() {
    let text = include_str!("../../../book/src/compat.md");
    let mut modules: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut module = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            module = name;
        }
        let Some((_, cell)) = line.strip_prefix("| `").and_then(|l| l.split_once("` | ")) else {
            continue;
        };
        let kind = match cell {
            _ if cell.starts_with('`') => 0,
            _ if cell.starts_with("*not yet*") => 1,
            _ if cell.starts_with("*not here*: ") => 2,
            _ => continue,
        };
        modules.entry(module).or_default()[kind] += 1;
        modules.entry("all").or_default()[kind] += 1;
    }
    for (module, [here, missing, elsewhere]) in modules {
        let share = 100 * here / (here + missing);
        let row = format!("| {module} | {here} | {missing} | {elsewhere} | {share} % |");
        assert!(text.contains(&row), "the table of counts should say: {row}");
    }
}

/// What is one expression of several functions gives what its peer gives.
#[test]
fn expressions_of_the_table_are_right() -> Result<()> {
    let matrix = Tensor::iota(DType::F64, 9, 0).reshape([3, 3]);
    let swapped = vmap(|x: &Tensor| all_gather(x, "i").take(&axis_index("i"), 1), 0);
    assert_eq!(swapped.axis_name("i")(&matrix).to_vec::<f64>()?, matrix.t().to_vec::<f64>()?);
    let scattered = vmap(|x: &Tensor| psum(x, "i").take(&axis_index("i"), 0), 0);
    assert_eq!(scattered.axis_name("i")(&matrix).to_vec::<f64>()?, [9.0, 12.0, 15.0]);

    let x = Tensor::iota(DType::F64, 8, 0).reshape([1, 2, 4]);
    let units = Tensor::eye(DType::F64, 6).reshape([6, 2, 3]);
    let patches = x.conv(&units, &Conv { windows: vec![WindowAxis::one()], groups: 1 });
    let rows = [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0], [6.0, 7.0]];
    assert_eq!(patches.to_vec::<f64>()?, rows.concat());

    let (n, m) = (Tensor::from([-7, i32::MAX, 1 << 20]), Tensor::from([3, i32::MAX, 1 << 20]));
    let high = (n.cast(DType::I64) * m.cast(DType::I64)).shift_right(32).cast(DType::I32);
    assert_eq!(high.to_vec::<i32>()?, [-1, (1 << 30) - 1, 1 << 8]);

    let x = Tensor::from([3.0, 1.0, 3.0, 2.0]);
    let i = Tensor::from([0, 3]);
    assert_eq!(x.set(&i, x.at(&i).square()).to_vec::<f64>()?, [9.0, 1.0, 3.0, 4.0]);
    let edges = x.min() + (x.max() - x.min()) * Tensor::linspace(0.0, 1.0, 3);
    assert_eq!(edges.to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    let places = x.unique(3).0.search_sorted(&x);
    assert_eq!(places.to_vec::<i64>()?, [2, 0, 2, 1]);
    assert_eq!(places.bincount(3).to_vec::<i64>()?, [1, 1, 2]);
    let first = vmap(|v: &Tensor| x.equal(v).argmax(), 0)(&x.unique(3).0);
    assert_eq!(first.to_vec::<i64>()?, [1, 3, 0]);

    let order = Tensor::iota(DType::U32, 8, 0).flip(0);
    let bytes = Tensor::from([0b1010_0000u32, 0b0000_0011]);
    let bits = vmap(|n: &Tensor| n.shift_right_logical(&order).logical_and(1), 0)(&bytes);
    assert_eq!(bits.at((0, ..)).to_vec::<u32>()?, [1, 0, 1, 0, 0, 0, 0, 0]);
    let pack = vmap(|bits: &Tensor| bits.cast(DType::U32).shift_left(&order).sum(), 0);
    assert_eq!(pack(&bits.not_equal(0)).to_vec::<u32>()?, bytes.to_vec::<u32>()?);

    let (i, y) = (Tensor::from([[2, 0, 1]]), Tensor::from([[10.0, 20.0, 30.0]]));
    let put = vmap(|x: &Tensor, i: &Tensor, y: &Tensor| x.set(i, y), 1).out_axis(1);
    let expected = [0.0, 20.0, 2.0, 3.0, 4.0, 30.0, 10.0, 7.0, 8.0];
    assert_eq!(put(&matrix, &i, &y).to_vec::<f64>()?, expected);

    let z = Complex::new(Tensor::from([2.0, 1.0, 2.0]), Tensor::from([1.0, 5.0, -1.0]));
    let sorted = Tensor::sort_by(&[&z.re, &z.im], 2, 0, false);
    assert_eq!(sorted[1].to_vec::<f64>()?, [5.0, -1.0, 1.0]);

    // A·X + X·B = Q.
    let a = &matrix + 10.0 * Tensor::eye(DType::F64, 3);
    let (b, solution) = (matrix.t() + Tensor::eye(DType::F64, 3), matrix.sin());
    let q = a.matmul(&solution) + solution.matmul(&b);
    let eye = Tensor::eye(DType::F64, 3);
    let x = (a.kron(&eye) + eye.kron(&b.t())).solve(&q.flatten()).reshape([3, 3]);
    assert!((x - solution).abs().max().item::<f64>()? < 1e-12);
    Ok(())
}

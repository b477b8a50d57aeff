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

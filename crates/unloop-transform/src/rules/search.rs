//! Rules of searching.

use unloop_graph::{Op, Tensor};

use super::{Batched, apply};

pub(super) fn batch(op: &Op, table: &Batched, values: &Batched, size: usize) -> Tensor {
    match (table, values) {
        // A shared table is not repeated: the examples go behind the axes that both operands have.
        (Batched::Same(table), Batched::Each(values)) => {
            let behind = table.rank() as isize - 1;
            apply(op.clone(), &[table, &values.move_axis(0, behind)]).move_axis(behind, 0)
        }
        _ => apply(op.clone(), &[table.tensor(), &values.each(size)]),
    }
}

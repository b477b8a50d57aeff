//! The side of plain loops in the comparison: what a patient user would write by hand for a row, in
//! parallel over its outermost axis, compiled for the processor that it runs on. `unloop-loops` prints
//! the names of its rows; `unloop-loops ROW FOLDER` talks as `unloop-peer` does, and writes its results to `loop0`, `loop1`
//! and so on.

mod chance;
mod data;
mod learning;
mod models;
mod physics;
mod sequences;
mod stencils;

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use data::Values;

/// A row: its name, the dtypes of its inputs, and the loop.
type Row = (&'static str, &'static str, fn(&[Values]) -> Vec<Values>);

fn main() -> Result<(), Box<dyn Error>> {
    let rows = [
        chance::ROWS,
        stencils::ROWS,
        sequences::ROWS,
        learning::ROWS,
        physics::ROWS,
        models::ROWS,
    ]
    .concat();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (row, folder) = match &arguments[..] {
        [] => {
            rows.iter().for_each(|(name, ..)| println!("{name}"));
            return Ok(());
        }
        [row, folder] => (row, Path::new(folder)),
        _ => return Err("usage: unloop-loops [ROW FOLDER]".into()),
    };
    let (_, dtypes, f) = rows.iter().find(|(name, ..)| name == row).ok_or("no such row")?;
    let mut inputs = Vec::new();
    for (i, dtype) in dtypes.split(' ').enumerate() {
        inputs.push(Values::read(&folder.join(format!("in{i}")), dtype)?);
    }
    for (i, result) in f(&inputs).iter().enumerate() {
        result.write(&folder.join(format!("loop{i}")))?;
    }
    for line in std::io::stdin().lock().lines() {
        let request: serde_json::Value = serde_json::from_str(&line?)?;
        let count = request["time"].as_u64().ok_or("no count")?;
        let start = Instant::now();
        for _ in 0..count {
            std::hint::black_box(f(&inputs));
        }
        let ns = start.elapsed().as_nanos() as f64 / count.max(1) as f64;
        println!("{}", serde_json::json!({ "ns": ns }));
    }
    Ok(())
}

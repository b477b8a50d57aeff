//! The side of unloop in the comparison with its peers. `unloop-peer ROW FOLDER` reads the inputs
//! that the runner has written to the folder, writes its results there, and then, for each line
//! `{"time": N}` on its standard input, runs the program N times and answers `{"ns": …}`, the
//! nanoseconds of a run. For `{"profile": true}` it answers with a report of what a run takes its time for.

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use unloop::prelude::*;
use unloop_benches::rows;

fn read(path: &Path, dtype: DType, shape: &[usize]) -> Result<Tensor, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    macro_rules! values {
        ($t:ty) => {{
            let parts = bytes.chunks_exact(size_of::<$t>());
            let values: Result<Vec<$t>, _> =
                parts.map(|b| b.try_into().map(<$t>::from_le_bytes)).collect();
            Tensor::from_vec(shape, values?)
        }};
    }
    Ok(match dtype {
        DType::F32 => values!(f32),
        DType::F64 => values!(f64),
        DType::I32 => values!(i32),
        other => return Err(format!("no row has inputs of {other}").into()),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, folder] = &arguments[..] else {
        return Err("usage: unloop-peer ROW FOLDER".into());
    };
    let row = rows().into_iter().find(|row| row.name == name).ok_or("no such row")?;
    let folder = Path::new(folder);
    let mut inputs = Vec::new();
    for (i, (dtype, shape)) in row.inputs.iter().enumerate() {
        inputs.push(read(&folder.join(format!("in{i}")), *dtype, shape)?);
    }
    for (i, result) in row.run(&inputs)?.iter().enumerate() {
        let values = result.cast(DType::F64).to_vec::<f64>()?;
        let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
        std::fs::write(folder.join(format!("out{i}")), bytes)?;
    }
    for line in std::io::stdin().lock().lines() {
        let request: serde_json::Value = serde_json::from_str(&line?)?;
        if request["profile"] == true {
            let (result, report) = unloop::profile(|| row.run(&inputs));
            result?;
            println!("{}", serde_json::json!({ "profile": report.to_string() }));
            continue;
        }
        let count = request["time"].as_u64().ok_or("no count")?;
        let start = Instant::now();
        for _ in 0..count {
            std::hint::black_box(row.run(&inputs)?);
        }
        let ns = start.elapsed().as_nanos() as f64 / count.max(1) as f64;
        println!("{}", serde_json::json!({ "ns": ns }));
    }
    Ok(())
}

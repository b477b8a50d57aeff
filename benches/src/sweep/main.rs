//! The side of unloop in the sweep over every public function. `unloop-sweep catalogue` prints the
//! functions that there are; `unloop-sweep serve` answers requests, one JSON a line, with one JSON a
//! line: `{"load": SIGNATURE, "arguments": […], "mapped": false, "folder": PATH}` compiles a function
//! for arguments, runs it and writes its results to the folder; `{"time": N}` runs it N times and
//! tells the nanoseconds of a run.

mod arguments;

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use arguments::{argument, tensors, with_tensors};
use serde_json::{Value, json};
use unloop::{DType, Jit, Tensor, jit, vmap};
use unloop_tests::functions::{Arg, Function, functions};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A compiled function of tensors with the tensors that it is run on.
struct Program {
    call: Jit<'static, (Vec<Tensor>,), Vec<Tensor>>,
    inputs: Vec<Tensor>,
}

impl Program {
    fn new(functions: &'static [Function], request: &Value, folder: &Path) -> Fallible<Program> {
        let signature = request["load"].as_str().ok_or("no signature")?;
        let found = functions.iter().find(|f| f.signature() == signature);
        let function = found.ok_or_else(|| format!("no function {signature}"))?;
        let given = request["arguments"].as_array().ok_or("no arguments")?;
        let args: Fallible<Vec<Arg>> = function
            .kinds
            .iter()
            .zip(given)
            .map(|(&kind, json)| argument(kind, json, folder))
            .collect();
        let args = args?;
        let inputs = args.iter().flat_map(tensors).collect();
        let call = move |inputs: &Vec<Tensor>| {
            let mut left = inputs.iter().cloned();
            let mut next = || left.next().expect("as many inputs as tensors of arguments");
            let args: Vec<Arg> = args.iter().map(|arg| with_tensors(arg, &mut next)).collect();
            (function.call)(&args)
        };
        let is_mapped = request["mapped"].as_bool().unwrap_or(false);
        let call = if is_mapped { jit(vmap(call, 0)) } else { jit(call) };
        Ok(Program { call, inputs })
    }

    fn run(&self) -> unloop::Result<Vec<Tensor>> {
        self.call.try_call((&self.inputs,))
    }
}

/// Writes results as numbers of f64; their shapes.
fn write(results: &[Tensor], folder: &Path) -> Fallible<Value> {
    let mut shapes = Vec::new();
    for (i, result) in results.iter().enumerate() {
        let values = result.cast(DType::F64).to_vec::<f64>()?;
        let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
        std::fs::write(folder.join(format!("unloop{i}")), bytes)?;
        shapes.push(result.shape().to_vec());
    }
    Ok(json!({ "shapes": shapes }))
}

fn time(program: &Program, count: u32) -> Fallible<Value> {
    let start = Instant::now();
    for _ in 0..count {
        std::hint::black_box(program.run()?);
    }
    Ok(json!({ "ns": start.elapsed().as_nanos() as f64 / f64::from(count) }))
}

fn answer(
    functions: &'static [Function],
    loaded: &mut Option<Program>,
    request: &str,
) -> Fallible<Value> {
    let request: Value = serde_json::from_str(request)?;
    if let Some(count) = request["time"].as_u64() {
        return time(loaded.as_ref().ok_or("nothing is loaded")?, count as u32);
    }
    *loaded = None;
    unloop::release_memory();
    let folder = Path::new(request["folder"].as_str().ok_or("no folder")?);
    let program = loaded.insert(Program::new(functions, &request, folder)?);
    write(&program.run()?, folder)
}

fn main() -> Fallible<()> {
    let functions: &'static [Function] = functions().leak();
    match std::env::args().nth(1).as_deref() {
        Some("catalogue") => {
            let entry = |f: &Function| {
                let kinds: Vec<String> = f.kinds.iter().map(|kind| format!("{kind:?}")).collect();
                let facts: Vec<String> = f.facts.iter().map(|fact| format!("{fact:?}")).collect();
                json!({
                    "signature": f.signature(),
                    "parameters": f.parameters,
                    "kinds": kinds,
                    "facts": facts,
                })
            };
            let all: Vec<Value> = functions.iter().map(entry).collect();
            println!("{}", Value::from(all));
        }
        Some("serve") => {
            let mut loaded = None;
            for line in std::io::stdin().lock().lines() {
                let answer = answer(functions, &mut loaded, &line?);
                let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
                println!("{answer}");
                std::io::stdout().flush()?;
            }
        }
        _ => return Err("usage: unloop-sweep catalogue | serve".into()),
    }
    Ok(())
}

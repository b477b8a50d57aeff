//! Makes a function of every expression in the compatibility table, so that what the table claims is
//! compiled with the tests.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// What the expressions speak of.
const GIVEN: &str = "let Given { x, y, a, b, n, m, i, mask, key, z, w, op, .. } = given;
let (f, dtype) = (given.f, given.dtype);";

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let table = Path::new(&root).join("../book/src/compat.md");
    println!("cargo::rerun-if-changed={}", table.display());
    let table = fs::read_to_string(table).expect("the compatibility table");
    let mut code = String::new();
    // Rows are `| name | expression … |`, with the bars of closures escaped.
    let claims = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
    for (number, (name, rest)) in claims.enumerate() {
        let expression = rest.split('`').next().unwrap_or_default().replace("\\|", "|");
        writeln!(code, "// {name}\nfn claim_{number}(given: &Given) {{").expect("in memory");
        writeln!(code, "{GIVEN}\nlet _ = {{ {expression} }};\n}}").expect("in memory");
    }
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("compat.rs"), code).expect("the build folder");
}

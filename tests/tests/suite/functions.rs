//! The catalogue of public functions is complete, and what it says of them is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use unloop_tests::draw::{Draw, arguments};
use unloop_tests::functions::{Fact, functions};

/// Public functions that the catalogue leaves out, and why.
const LEFT_OUT: &[(&str, &[&str], &str)] = &[
    ("Tensor", &["error", "error_like", "as_error", "check"], "they carry and tell errors"),
    (
        "Tensor",
        &["dtype", "shape", "rank", "size", "ty", "is_traced"],
        "they tell what a tensor is",
    ),
    ("Tensor", &["value", "as_slice", "arrays"], "they lend memory"),
    ("Tensor", &["apply"], "the catalogue of operations has its cases"),
    ("Complex", &["shape", "dtype"], "they tell what a tensor is"),
    ("Complex", &["from_array"], "it takes an array, which cannot be wrong"),
    ("random", &["data"], "it lends a tensor"),
    ("", &["operands"], "it makes operands tensors, which are arguments of the catalogue"),
    ("", &["strided"], "it makes an index; indices are arguments of the catalogue"),
    (
        "",
        &["release_memory", "set_error_mode", "set_memory_limit", "set_rewriting"],
        "global settings",
    ),
    ("", &["profile", "memory_in_use"], "they measure"),
];

/// The names of the functions that a source file defines for the public: `pub fn` of an `impl` (or
/// of a module), and the names in the tables of macros.
fn defined(text: &str, of: &str) -> Vec<String> {
    let identifier = |text: &str| -> String {
        text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
    };
    let (mut names, mut inside, mut table) = (Vec::new(), of == of.to_lowercase(), String::new());
    for line in text.lines() {
        let is_top = line.starts_with(|c: char| !c.is_whitespace());
        if is_top && line.starts_with("impl") && of != of.to_lowercase() {
            inside = line == format!("impl {of} {{");
        }
        if line.ends_with("! {") && is_top && !line.starts_with("macro_rules") {
            table = line.trim_end_matches("! {").to_string();
        }
        if line == "}" {
            table.clear();
        }
        let trimmed = line.trim_start();
        let at_depth = match of == of.to_lowercase() {
            true => is_top,
            false => line.len() - trimmed.len() == 4,
        };
        if let (true, true, Some(rest)) = (at_depth, inside, trimmed.strip_prefix("pub fn ")) {
            names.push(identifier(rest));
        }
        let row =
            line.strip_prefix("    ").filter(|row| row.starts_with(|c: char| c.is_lowercase()));
        match (table.as_str(), row) {
            ("composed" | "methods", Some(row)) if row.contains('(') => names.push(identifier(row)),
            ("unary_methods" | "binary_methods", Some(row)) if row.contains("=>") => {
                names.push(identifier(row));
            }
            ("reductions" | "moments", _) => {
                // Three names in a row, at the end of an entry or before its arrow.
                let words: Vec<&str> =
                    line.split("=>").next().unwrap_or(line).split_whitespace().collect();
                let last: Vec<&str> = words.iter().rev().take(3).rev().copied().collect();
                if let [all, axis, keep] = last[..]
                    && axis.ends_with("_axis")
                    && keep.trim_end_matches(';').ends_with("_keep")
                {
                    names.extend([all, axis, keep].map(identifier));
                }
            }
            _ => {}
        }
    }
    names
}

/// The text of every source file below a folder, or of one file.
fn sources(path: &Path) -> Vec<String> {
    if path.is_file() {
        return vec![fs::read_to_string(path).unwrap()];
    }
    let entries = fs::read_dir(path).map(|entries| entries.flatten().collect::<Vec<_>>());
    entries.unwrap_or_default().iter().flat_map(|entry| sources(&entry.path())).collect()
}

#[test]
fn every_public_function_is_in_the_catalogue() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let places: [(&str, &[&str]); 8] = [
        ("Tensor", &["unloop-graph/src/tensor"]),
        ("Complex", &["unloop/src/complex.rs"]),
        ("fft", &["unloop/src/fft.rs"]),
        ("linalg", &["unloop/src/linalg.rs", "unloop/src/linalg"]),
        ("random", &["unloop/src/random"]),
        ("polynomial", &["unloop/src/polynomial.rs"]),
        ("nn", &["unloop/src/nn"]),
        ("optim", &["unloop/src/optim"]),
    ];
    let mut found: Vec<(&str, String)> = Vec::new();
    for (of, paths) in places {
        for text in paths.iter().flat_map(|path| sources(&crates.join(path))) {
            // Functions that a module gives to its neighbours only are not public.
            let names = defined(&text, of).into_iter();
            found.extend(names.filter(|name| name != "strided").map(|name| (of, name)));
        }
    }
    // What the root exports by name.
    let root = fs::read_to_string(crates.join("unloop/src/lib.rs")).unwrap();
    let exported = root.split("pub use ").skip(1).filter_map(|text| text.split(';').next());
    let exported = exported.filter(|text| text.starts_with("unloop_") && !text.contains(" as "));
    for name in exported.flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_')) {
        let is_function = name.starts_with(|c: char| c.is_lowercase())
            && !["backend", "op", "as"].contains(&name)
            && !name.starts_with("unloop_");
        if is_function {
            found.push(("", name.to_string()));
        }
    }
    assert!(found.len() > 400, "only {} functions found", found.len());
    let known = functions();
    let left_out = |of: &str, name: &str| {
        LEFT_OUT.iter().any(|(place, names, _)| *place == of && names.contains(&name))
    };
    let missing: Vec<String> = found
        .iter()
        .filter(|(of, name)| !known.iter().any(|f| f.of == *of && f.name == name))
        .filter(|(of, name)| !left_out(of, name))
        .map(|(of, name)| format!("{of}::{name}"))
        .collect();
    assert!(missing.is_empty(), "not in the catalogue: {missing:?}");
    // Nothing is left out that is not there.
    for (of, names, _) in LEFT_OUT {
        for name in names.iter().filter(|name| **name != "strided") {
            let there = found.iter().any(|(place, found)| place == of && found == name);
            assert!(there || *of == "random", "{of}::{name} is left out, but does not exist");
        }
    }
}

/// Every function is measured beside its peers, or the table of peers says why not.
#[test]
fn every_function_has_peers_or_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/peers/table");
    // Keys of dictionaries, one a line.
    let key = |line: &str| Some(line.strip_prefix("    \"")?.split_once("\": ")?.0.to_string());
    let files = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let named: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|end| end == "py"))
        .map(|path| fs::read_to_string(path).unwrap())
        .flat_map(|text| text.lines().filter_map(key).collect::<Vec<_>>())
        .collect();
    let unique: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(unique.len(), named.len(), "a function stands twice in the table of peers");
    let known: BTreeSet<String> = functions().iter().map(|f| f.signature()).collect();
    assert_eq!(known.len(), functions().len(), "two functions have one signature");
    let missing: Vec<&String> = known.difference(&unique).collect();
    assert!(missing.is_empty(), "neither peers nor a reason: {missing:?}");
    let gone: Vec<&String> = unique.difference(&known).collect();
    assert!(gone.is_empty(), "peers of functions that do not exist: {gone:?}");
}

/// Every function takes some of the arguments that are drawn for it.
#[test]
fn functions_take_what_is_drawn_for_them() {
    let mut refused = Vec::new();
    for function in functions() {
        let (mut taken, mut last) = (0, None);
        for seed in 0..16u64 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..96).map(|_| rng.u8(..)).collect();
            let args = arguments(&function, false, &mut Draw::new(&bytes));
            let results = (function.call)(&args);
            match results.iter().find_map(|x| x.as_error()) {
                Some(error) => last = Some(error.to_string()),
                None => taken += 1,
            }
            if taken == 2 {
                break;
            }
        }
        if taken < 2 {
            refused.push(format!("{} takes {taken} of 16: {last:?}", function.path()));
        }
    }
    assert!(refused.is_empty(), "{} functions:\n{}", refused.len(), refused.join("\n"));
    assert!(functions().iter().filter(|f| f.is(Fact::Elementwise)).count() > 100);
}

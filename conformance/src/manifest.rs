//! The manifest: one case a line.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

/// How results are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compare {
    /// Element by element.
    Close,
    /// By what the factors rebuild: they are unique up to signs only.
    Factors,
}

/// One program with what JAX made of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number, which names its arrays.
    pub id: u64,
    /// The group, which names its archive.
    pub group: String,
    /// The name of the case.
    pub name: String,
    /// The program.
    pub program: Value,
    /// Relative tolerance.
    pub rtol: f64,
    /// How results are compared.
    pub compare: Compare,
    /// The mapped axis of each input, for each batched run.
    pub vmap: Vec<Vec<Option<isize>>>,
    /// The inputs and outputs that derivatives are taken of.
    pub diff: (Vec<usize>, Vec<usize>),
    /// Whether there are forward and reverse derivatives.
    pub jvp: bool,
    /// See `jvp`.
    pub vjp: bool,
}

fn numbers(value: &Value) -> Vec<usize> {
    let entries = value.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|v| v.as_u64().map(|v| v as usize)).collect()
}

/// The line with the numbers that JSON does not have as strings.
fn quoted(line: &str) -> String {
    let mut text = line.to_string();
    for word in ["-Infinity", "Infinity", "NaN"] {
        for before in [":", ": ", "[", ", ", ","] {
            text = text.replace(&format!("{before}{word}"), &format!("{before}\"{word}\""));
        }
    }
    text
}

impl Case {
    fn parse(line: &str) -> Result<Case, Box<dyn Error>> {
        let record: Value = serde_json::from_str(&quoted(line))?;
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_string();
        let runs = record["vmap"].as_array().map(Vec::as_slice).unwrap_or_default();
        let axes = |run: &Value| {
            let axes = run["axes"].as_array().map(Vec::as_slice).unwrap_or_default();
            axes.iter().map(|axis| axis.as_i64().map(|axis| axis as isize)).collect()
        };
        Ok(Case {
            id: record["id"].as_u64().ok_or("a case without an id")?,
            group: text("group"),
            name: text("name"),
            program: record["jaxpr"].clone(),
            rtol: record["rtol"].as_f64().unwrap_or(1e-5),
            compare: match record["compare"].as_str() {
                Some("factors") => Compare::Factors,
                _ => Compare::Close,
            },
            vmap: runs.iter().map(axes).collect(),
            diff: (numbers(&record["diff_in"]), numbers(&record["diff_out"])),
            jvp: record["jvp"].as_bool().unwrap_or(false),
            vjp: record["vjp"].as_bool().unwrap_or(false),
        })
    }
}

/// Reads `manifest.jsonl` of a directory.
pub fn read_manifest(directory: &Path) -> Result<Vec<Case>, Box<dyn Error>> {
    let path = directory.join("manifest.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.lines().filter(|line| !line.trim().is_empty()).map(Case::parse).collect()
}

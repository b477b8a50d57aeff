//! Makes a function of every Rust block of the book, so that the tests compile and run it.
//!
//! A block is the body of `fn main() -> unloop::Result<()>`, unless it has a `fn main` of its own; the
//! prelude is in scope. Lines that begin with `# ` are hidden from readers and belong to the program. A block
//! that is one `{{#include path}}` is that file. What a fence `text,output` behind a block shows is what the
//! block prints; of a fence `text,times` the words are, and its numbers are those of a release build. A block
//! that profiles, or that sets what is set for a whole process, runs while no other does.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The Rust block that is being read, and where it is.
struct Block {
    /// The line of its fence, from 1.
    line: usize,
    /// Its lines as they stand in the chapter.
    text: Vec<String>,
    /// The expressions of tables behind it.
    rows: Vec<String>,
}

/// Calls that other blocks would disturb, or be disturbed by.
const ALONE: [&str; 4] = ["profile(", "set_error_mode(", "set_memory_limit(", "set_rewriting("];

/// A line without the mark of hidden ones, and whether it is hidden.
fn unhidden(line: &str) -> (&str, bool) {
    let indent = line.len() - line.trim_start().len();
    match line[indent..].strip_prefix("# ") {
        Some(rest) => (rest, true),
        None if line.trim() == "#" => ("", true),
        None => (line, false),
    }
}

/// The chapters, in the order of their paths.
fn chapters(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the book's source");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            chapters(&path, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
}

/// The code in the last cell of a table's row.
fn expressions(row: &str) -> impl Iterator<Item = String> {
    let cell = row.trim_end_matches('|').rsplit(" | ").next().unwrap_or_default();
    cell.split('`').skip(1).step_by(2).map(|code| code.replace("\\|", "|"))
}

/// The Rust blocks of a chapter.
fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<(Block, bool)>) = (Vec::new(), None);
    let mut in_table = false;
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let is_rust = info.split(',').next() == Some("rust");
                open = Some((Block { line: number, text: Vec::new(), rows: Vec::new() }, is_rust));
            }
            (Some((block, _)), None) => block.text.push(line.to_string()),
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(_, is_rust)| *is_rust).map(|(block, _)| block));
            }
            (None, None) => {
                in_table = line.ends_with("| unloop |") || in_table && line.starts_with('|');
                if let (true, Some(block)) = (in_table, blocks.last_mut()) {
                    block.rows.extend(expressions(line));
                }
            }
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

fn main() {
    println!("cargo::rerun-if-env-changed=BOOK");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let source = root.join("src");
    println!("cargo::rerun-if-changed={}", source.display());
    let only = env::var("BOOK").unwrap_or_default();
    let mut paths = Vec::new();
    chapters(&source, &mut paths);
    let (mut code, mut table, mut texts) = (String::new(), String::new(), String::new());
    for path in paths {
        let name = path.strip_prefix(&source).expect("inside").display().to_string();
        if !name.contains(&only) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a chapter");
        write!(texts, "({name:?}, {text:?}), ").expect("in memory");
        for block in blocks(&text) {
            let is_part = |line: &String| line.starts_with("{{#include ") && line.contains(".rs:");
            if block.text.iter().any(is_part) {
                continue;
            }
            let id = format!("{}_{}", name.replace(['/', '.', '-'], "_"), block.line);
            let include = match block.text.as_slice() {
                [line] => line.strip_prefix("{{#include ").and_then(|l| l.strip_suffix("}}")),
                _ => None,
            };
            let text = match include {
                Some(file) => {
                    let file = path.parent().expect("a folder").join(file);
                    println!("cargo::rerun-if-changed={}", file.display());
                    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
                }
                None => block.text.join("\n"),
            };
            let lines: Vec<(&str, bool)> = text
                .lines()
                .filter(|line| !line.starts_with("//!"))
                .map(|line| if include.is_some() { (line, false) } else { unhidden(line) })
                .collect();
            let whole = lines.iter().any(|(line, _)| line.starts_with("fn main()"));
            let head = if whole { "" } else { "pub fn main() -> unloop::Result<()> {" };
            writeln!(code, "mod {id} {{\nuse unloop::prelude::*;\n{head}").expect("in memory");
            // Which visible line each generated one is, for errors that name lines.
            let (mut seen, mut shown) = (code.lines().count(), 0);
            for (line, is_hidden) in lines {
                seen += 1;
                shown += usize::from(!is_hidden);
                write!(table, "({seen}, {shown}), ").expect("in memory");
                let public = if line.starts_with("fn main()") { "pub " } else { "" };
                writeln!(code, "{public}{line}").expect("in memory");
            }
            if !block.rows.is_empty() {
                writeln!(code, "use crate::Compiled as _;").expect("in memory");
            }
            for row in &block.rows {
                writeln!(code, "crate::Row({{ {row} }}).check();").expect("in memory");
            }
            let tail = if whole { "" } else { "Ok(())\n}" };
            writeln!(code, "{tail}\n}}\n#[test]\nfn run_{id}() {{").expect("in memory");
            let alone = ALONE.iter().any(|call| text.contains(call));
            writeln!(
                code,
                "run({name:?}, {}, {alone}, || {{ let _ = done({id}::main()); }});\n}}",
                block.line
            )
            .expect("in memory");
        }
    }
    writeln!(code, "static TEXTS: &[(&str, &str)] = &[{texts}];").expect("in memory");
    writeln!(code, "static LINES: &[(u32, u32)] = &[{table}];").expect("in memory");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("blocks.rs"), code).expect("the build folder");
}

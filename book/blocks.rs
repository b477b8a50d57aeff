//! The code of the book: every Rust block of a chapter is compiled and run, and what it prints is compared
//! with the fence `text,output` behind it. A fence `text,times` has numbers of one machine at one time: only
//! its words are compared, in any order of the lines.
//!
//! `BOOK=loops cargo test -p unloop-book` takes the chapters whose path has that word. With `UPDATE=1`, what
//! was printed is written into the chapters, times by a release build only. `…` stands for the rest of a line,
//! or, alone, for lines.

#![cfg(test)]
// Blocks are written for readers.
#![allow(unused, clippy::all, missing_docs, rust_2018_idioms)]

mod links;

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};
use std::{env, fs};

thread_local! {
    static PRINTED: RefCell<String> = const { RefCell::new(String::new()) };
}

fn write(text: &str) {
    PRINTED.with_borrow_mut(|printed| printed.push_str(text));
}

macro_rules! print {
    ($($text:tt)*) => { crate::write(&format!($($text)*)) };
}

macro_rules! println {
    () => { crate::write("\n") };
    ($($text:tt)*) => { crate::write(&(format!($($text)*) + "\n")) };
}

/// What a block's `main` may give.
trait Done {
    fn done(self);
}

impl Done for () {
    fn done(self) {}
}

impl<E: std::fmt::Debug> Done for Result<(), E> {
    fn done(self) {
        self.expect("the block runs");
    }
}

fn done(result: impl Done) {
    result.done();
}

/// What an expression of a table gives. If it is made of tensors, none may carry an error.
struct Row<T>(T);

impl<T: unloop::Tree> Row<T> {
    fn check(&self) {
        for leaf in self.0.leaves() {
            leaf.check().expect("a table's expression");
        }
    }
}

/// What is not made of tensors need only compile.
trait Compiled {
    fn check(&self) {}
}

impl<T> Compiled for Row<T> {}

/// Lines of this crate's generated code, as a reader counts them.
fn readable(text: &str) -> String {
    let file = concat!(env!("OUT_DIR"), "/blocks.rs:");
    let mut rest = text;
    let mut out = String::new();
    while let Some(at) = rest.find(file) {
        out.push_str(&rest[..at]);
        rest = &rest[at + file.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let line: u32 = rest[..end].parse().expect("a line's number");
        let shown = LINES.iter().find(|(seen, _)| *seen == line).map_or(0, |(_, shown)| *shown);
        out.push_str(&format!("src/main.rs:{shown}"));
        rest = &rest[end..];
    }
    out + rest
}

/// Whether a line, or some, are what a chapter shows.
fn agree(shown: &[&str], printed: &[&str]) -> bool {
    match shown {
        [] => printed.is_empty(),
        ["…", rest @ ..] => (0..=printed.len()).any(|n| agree(rest, &printed[n..])),
        [line, rest @ ..] => printed.split_first().is_some_and(|(first, others)| {
            let same = match line.strip_suffix('…') {
                Some(start) => first.starts_with(start),
                None => line.trim_end() == first.trim_end(),
            };
            same && agree(rest, others)
        }),
    }
}

/// The lines' words without numbers, in one order: a slower kernel may stand in another line.
fn words(lines: &[&str]) -> Vec<String> {
    let is_word = |word: &&str| word.parse::<f64>().is_err();
    let line = |line: &&str| line.split_whitespace().filter(is_word).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = lines.iter().map(line).collect();
    lines.sort();
    lines
}

/// Held for writing by a block that runs alone.
static PROCESS: RwLock<()> = RwLock::new(());

/// Chapters are read and, in updates, written by one test at a time.
static CHAPTERS: Mutex<()> = Mutex::new(());

/// Runs a block, and compares what it prints with what its chapter shows.
fn run(chapter: &str, line: usize, alone: bool, f: impl FnOnce()) {
    if alone {
        let _alone = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
        f();
    } else {
        let _beside = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
        f();
    }
    let printed = readable(&PRINTED.take());
    let _alone = CHAPTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(chapter);
    let text = fs::read_to_string(&path).expect("a chapter");
    let lines: Vec<&str> = text.lines().collect();
    // The block's first line may have moved by what other blocks wrote: it is looked for by its count.
    let fences = |info: &str| info.starts_with("```rust");
    let compiled = TEXTS.iter().find(|(name, _)| *name == chapter).map_or("", |(_, text)| *text);
    let nth = compiled.lines().take(line).filter(|line| fences(line)).count();
    let start = lines.iter().enumerate().filter(|(_, line)| fences(line)).nth(nth - 1);
    let start = start.expect("the block").0;
    let end = start + 1 + lines[start + 1..].iter().position(|l| *l == "```").expect("its end");
    let unchanged = compiled.lines().skip(line - 1).zip(&lines[start..=end]).all(|(a, b)| a == *b);
    assert!(unchanged, "{chapter} has changed since it was compiled: run the tests again");
    let next = lines[end + 1..].iter().position(|l| l.starts_with("```")).map(|n| n + end + 1);
    let is_times = next.is_some_and(|n| lines[n] == "```text,times");
    let Some(shown) = next.filter(|&n| is_times || lines[n] == "```text,output") else { return };
    let stop = shown + 1 + lines[shown + 1..].iter().position(|l| *l == "```").expect("its end");
    let printed: Vec<&str> = printed.lines().collect();
    let before = &lines[shown + 1..stop];
    let same = if is_times { words(before) == words(&printed) } else { agree(before, &printed) };
    let update = env::var_os("UPDATE").is_some() && !(is_times && cfg!(debug_assertions));
    if same && !(update && is_times) {
        return;
    }
    if update {
        let new = [&lines[..shown + 1], &printed, &lines[stop..]].concat();
        fs::write(&path, new.join("\n") + "\n").expect("a chapter");
    } else {
        panic!("{chapter}, line {line}: the block printed\n{}\n", printed.join("\n"));
    }
}

include!(concat!(env!("OUT_DIR"), "/blocks.rs"));

//! Programs as drawings, in the language of Graphviz.

use std::fmt::Write;

use crate::{Graph, ValueId};

impl Graph {
    /// The program in Graphviz' language: a box for each operation, with an arrow from what it reads.
    /// `dot -Tsvg` draws it.
    pub fn to_graphviz(&self) -> String {
        let mut text = String::from("digraph {\n  node [shape=box, fontname=monospace]\n");
        // Writing to a string does not fail.
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "  {arguments}");
        };
        let mut home: Vec<String> = Vec::new();
        for (i, ty) in self.inputs().iter().enumerate() {
            line(format_args!("input{i} [label=\"input {i}\\n{ty}\", style=rounded]"));
            home.push(format!("input{i}"));
        }
        for (i, node) in self.nodes().iter().enumerate() {
            let types: Vec<String> =
                node.results().map(|v| self.ty(ValueId(v)).to_string()).collect();
            let label = node.op.to_string().replace(['"', '\\'], "'").replace('\n', "\\n");
            line(format_args!("node{i} [label=\"{label}\\n{}\"]", types.join(", ")));
            for v in &node.operands {
                line(format_args!("{} -> node{i}", home[v.index()]));
            }
            home.extend(node.results().map(|_| format!("node{i}")));
        }
        for (i, v) in self.outputs().iter().enumerate() {
            line(format_args!("output{i} [label=\"output {i}\", style=rounded]"));
            line(format_args!("{} -> output{i}", home[v.index()]));
        }
        text + "}\n"
    }
}

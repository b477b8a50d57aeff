//! Rewriting of programs: the same values, computed with less work.
//!
//! Gathers and scatters at places that are known become slices first. Then there are two tiers.
//! [`tidy`](fn@tidy) walks a program once, makes equal operations one and applies rules that always
//! pay: identities, constants, composed views. Then equality saturation (egg) holds many programs of
//! the same values at once, and the cheapest by predicted time is taken out: above all, sums of
//! products become matrix products, in the best order.

mod contract;
mod cost;
mod even;
mod language;
mod loops;
mod places;
mod rules;
mod saturate;
mod tidy;

pub use tidy::tidy;

pub use unloop_graph::backend::Rewriting;
use unloop_graph::stack::deeper;
use unloop_graph::{Array, Explanation, Graph};

/// A program with the same results that is predicted to take less time, never more.
pub fn rewrite(graph: &Graph, rewriting: Rewriting) -> Graph {
    explain(graph, &[], rewriting).after
}

/// What [`rewrite`] does to a program, and why. The last inputs always have the values `known`.
pub fn explain(graph: &Graph, known: &[Array], rewriting: Rewriting) -> Explanation {
    deeper(|| explain_level(graph, known, rewriting))
}

fn explain_level(graph: &Graph, known: &[Array], rewriting: Rewriting) -> Explanation {
    let mut fired = Vec::new();
    let before = cost::of_graph(graph);
    if rewriting == Rewriting::Off {
        return Explanation::new(graph.clone(), graph.clone(), (before, before), fired);
    }
    let placed = places::run(graph, known, rewriting, &mut fired);
    let mut after = tidy::run(placed.as_ref().unwrap_or(graph), known, rewriting, &mut fired);
    if let Some(better) = saturate::run(&after, known, rewriting, &mut fired) {
        // Choices leave views and constants behind.
        after = tidy::run(&better, known, rewriting, &mut Vec::new());
    }
    let predicted = cost::of_graph(&after);
    if predicted > before {
        return Explanation::new(graph.clone(), graph.clone(), (before, before), Vec::new());
    }
    Explanation::new(graph.clone(), after, (before, predicted), fired)
}

/// Makes this crate the one that rewrites the programs that `jit` compiles; returns whether none was
/// before. The crate `unloop` does so before `main`.
pub fn install() -> bool {
    unloop_graph::backend::install_rewriter(explain)
}

// Tensors live in a crate below this one, so the rewriter makes itself known when the program starts.
ctor::declarative::ctor! {
    #[ctor(unsafe)]
    fn install_at_start() {
        install();
    }
}

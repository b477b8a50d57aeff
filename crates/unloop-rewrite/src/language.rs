//! Programs as an e-graph. Operations with their parameters are interned, so that a node is small.

use std::cmp::Ordering;
use std::collections::HashMap;

use egg::{Analysis, DidMerge, EGraph, Id, Language};
use smallvec::SmallVec;
use unloop_graph::op::Types;
use unloop_graph::{Op, Place, TensorType};

/// What a node computes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Term {
    Input {
        number: usize,
        ty: TensorType,
        /// Whether it is known to be the identity matrix.
        identity: bool,
    },
    Op(Box<Op>),
    /// One of the results of an operation that has several.
    Result(usize),
}

/// A term of the table of [`Facts`], and the classes of its operands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Enode {
    pub term: u32,
    pub operands: SmallVec<[Id; 3]>,
}

impl Language for Enode {
    type Discriminant = u32;

    fn discriminant(&self) -> u32 {
        self.term
    }

    fn matches(&self, other: &Self) -> bool {
        self.term == other.term && self.operands.len() == other.operands.len()
    }

    fn children(&self) -> &[Id] {
        &self.operands
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.operands
    }
}

/// What is known of the values of a class.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// The types; several for operations with several results.
    pub types: Types,
    pub place: Place,
    /// The node that was there first, and when: operands are always older than what uses them, so
    /// choosing the first node everywhere is a program without cycles.
    pub first: (usize, Enode),
    /// Whether the program as given has the value.
    pub original: bool,
}

/// The table of terms, and where in the user's program new nodes stand.
pub(crate) struct Facts {
    terms: Vec<Term>,
    numbers: HashMap<Term, u32>,
    pub place: Place,
    /// Whether the program as given is being read.
    pub reading: bool,
    made: usize,
}

impl Facts {
    pub fn new() -> Facts {
        let (terms, numbers) = (Vec::new(), HashMap::new());
        Facts { terms, numbers, place: Place(None), reading: true, made: 0 }
    }

    fn intern(&mut self, term: Term) -> u32 {
        if let Some(&number) = self.numbers.get(&term) {
            return number;
        }
        self.terms.push(term.clone());
        self.numbers.insert(term, self.terms.len() as u32 - 1);
        self.terms.len() as u32 - 1
    }

    pub fn term(&self, node: &Enode) -> &Term {
        &self.terms[node.term as usize]
    }
}

impl Analysis<Enode> for Facts {
    type Data = Value;

    fn make(egraph: &mut EGraph<Enode, Facts>, node: &Enode, _: Id) -> Value {
        let types: Types = match egraph.analysis.term(node) {
            Term::Input { ty, .. } => std::iter::once(ty.clone()).collect(),
            Term::Result(k) => {
                std::iter::once(egraph[node.operands[0]].data.types[*k].clone()).collect()
            }
            Term::Op(op) => {
                let operands: SmallVec<[TensorType; 3]> =
                    node.operands.iter().map(|&id| egraph[id].data.types[0].clone()).collect();
                // Only operations whose types fit are added.
                op.infer(&operands).unwrap_or_default()
            }
        };
        let facts = &mut egraph.analysis;
        facts.made += 1;
        let first = (facts.made, node.clone());
        Value { types, place: facts.place, first, original: facts.reading }
    }

    fn merge(&mut self, a: &mut Value, b: Value) -> DidMerge {
        debug_assert_eq!(a.types, b.types, "only values of one type are equal");
        let order = a.first.0.cmp(&b.first.0);
        let original = a.original || b.original;
        let changed = DidMerge(
            order == Ordering::Greater || original != a.original,
            order == Ordering::Less || original != b.original,
        );
        if order == Ordering::Greater {
            *a = b;
        }
        a.original = original;
        changed
    }
}

/// An e-graph of programs, with what rules need.
pub(crate) struct Programs {
    pub egraph: EGraph<Enode, Facts>,
}

impl Programs {
    pub fn new() -> Programs {
        Programs { egraph: EGraph::new(Facts::new()) }
    }

    pub fn term(&mut self, term: Term, operands: &[Id]) -> Id {
        let term = self.egraph.analysis.intern(term);
        self.egraph.add(Enode { term, operands: operands.iter().copied().collect() })
    }

    /// The value of an operation with one result; `None` if the types do not fit.
    pub fn add(&mut self, op: Op, operands: &[Id]) -> Option<Id> {
        let types: SmallVec<[TensorType; 3]> =
            operands.iter().map(|&id| self.ty(id).clone()).collect();
        op.infer(&types).ok()?;
        Some(self.term(Term::Op(Box::new(op)), operands))
    }

    pub fn ty(&self, id: Id) -> &TensorType {
        &self.egraph[id].data.types[0]
    }

    /// The operations with one result that compute a value, with their operands.
    pub fn ops(&self, id: Id) -> impl Iterator<Item = (&Op, &[Id])> {
        self.egraph[id].nodes.iter().filter_map(|node| match self.egraph.analysis.term(node) {
            Term::Op(op) if op.result_count() == 1 => Some((&**op, &node.operands[..])),
            _ => None,
        })
    }
}

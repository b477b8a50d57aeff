//! A program as data: a flat list of operations in topological order. Values are numbered; inputs
//! come first, then the results of each node in order.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::OnceLock;

use smallvec::SmallVec;

use crate::error::{Error, ErrorKind, Place};
use crate::op::Types;
use crate::stack::deeper;
use crate::{Array, Axes, GraphBuilder, Op, Result, TensorType, builder};

/// The number of a value of a [`Graph`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// The number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation of a [`Graph`].
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// The values it is computed from.
    pub operands: SmallVec<[ValueId; 3]>,
    /// The first result; further results follow.
    pub first: ValueId,
    /// Where it stands in the user's program.
    pub place: Place,
}

impl Node {
    /// The numbers of the results.
    pub fn results(&self) -> Range<u32> {
        self.first.0..self.first.0 + self.op.result_count() as u32
    }
}

/// A pure program over tensors. Immutable; equality and hash go by structure, without places.
#[derive(Clone)]
pub struct Graph {
    input_count: usize,
    types: Vec<TensorType>,
    nodes: Vec<Node>,
    outputs: Vec<ValueId>,
    /// What it hashes to, once somebody has asked: programs in programs would be hashed at every level.
    digest: OnceLock<u64>,
}

impl Graph {
    /// A program from its parts: the types of the inputs, the operations in order, the outputs. Results
    /// are numbered on the way; [`Node::first`] is set here.
    ///
    /// # Errors
    /// Those of the type rule ([`Op::infer`]) of an operation; `InvalidArgument` for values that are
    /// not computed before they are used.
    pub fn new(inputs: Vec<TensorType>, nodes: Vec<Node>, outputs: Vec<ValueId>) -> Result<Graph> {
        let input_count = inputs.len();
        let mut graph =
            Graph { input_count, types: inputs, nodes, outputs, digest: OnceLock::new() };
        for node in &mut graph.nodes {
            node.first = ValueId(graph.types.len() as u32);
            graph.types.extend(infer(node, &graph.types)?);
        }
        graph.check()?;
        Ok(graph)
    }

    /// The program of one operation, whose operands are the inputs.
    pub fn of_op(op: Op, inputs: Vec<TensorType>, types: Types, place: Place) -> Graph {
        let input_count = inputs.len();
        let first = ValueId(input_count as u32);
        let operands = (0..input_count as u32).map(ValueId).collect();
        let outputs = (first.0..first.0 + types.len() as u32).map(ValueId).collect();
        let types = inputs.into_iter().chain(types).collect();
        let nodes = vec![Node { op, operands, first, place }];
        Graph { input_count, types, nodes, outputs, digest: OnceLock::new() }
    }

    /// A program whose types are known already; checked in debug builds.
    pub(crate) fn from_parts(
        input_count: usize,
        types: Vec<TensorType>,
        nodes: Vec<Node>,
        outputs: Vec<ValueId>,
    ) -> Graph {
        let graph = Graph { input_count, types, nodes, outputs, digest: OnceLock::new() };
        debug_assert!(graph.check().is_ok(), "{:?}\n{graph}", graph.check());
        graph
    }

    /// The same program with other inputs, some of which it may not read: what was input `i` is input
    /// `place[i]` of the new ones.
    pub fn with_inputs(&self, inputs: Vec<TensorType>, place: &[usize]) -> Graph {
        let moved = place.iter().map(|&i| ValueId(i as u32)).collect();
        self.continued(GraphBuilder::new(inputs), moved)
    }

    /// The same program with smaller inputs in the place of some, of which it makes the old ones by
    /// repeating them: each with its type, and the axes of the old one that its axes become.
    pub fn with_repeats(&self, smaller: &[(usize, TensorType, Axes)]) -> Graph {
        let mut types = self.inputs().to_vec();
        smaller.iter().for_each(|(input, ty, _)| types[*input] = ty.clone());
        let mut builder = GraphBuilder::new(types);
        let mut moved = builder.inputs();
        for (input, _, dims) in smaller {
            let whole = self.types[*input].clone();
            let op = Op::Broadcast { shape: whole.shape.clone(), dims: dims.clone() };
            let operands = SmallVec::from_slice(&[moved[*input]]);
            let types = [whole].into_iter().collect();
            moved[*input] = builder.push_typed(op, operands, types, Place(None));
        }
        self.continued(builder, moved)
    }

    /// The operations of the program behind those of a builder, which has its inputs as `moved`.
    fn continued(&self, mut builder: GraphBuilder, mut moved: Vec<ValueId>) -> Graph {
        for node in &self.nodes {
            let operands = node.operands.iter().map(|v| moved[v.index()]).collect();
            let types: Types = node.results().map(|v| self.types[v as usize].clone()).collect();
            let first = builder.push_typed(node.op.clone(), operands, types, node.place);
            moved.extend((first.0..).take(node.results().len()).map(ValueId));
        }
        let outputs: Vec<ValueId> = self.outputs.iter().map(|v| moved[v.index()]).collect();
        builder.finish(&outputs)
    }

    /// The types of the inputs, which are the values `0..inputs().len()`.
    pub fn inputs(&self) -> &[TensorType] {
        &self.types[..self.input_count]
    }

    /// The operations, in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The results of the program.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The types of the results of the program.
    pub fn output_types(&self) -> impl Iterator<Item = &TensorType> {
        self.outputs.iter().map(|&v| self.ty(v))
    }

    /// The number of values: inputs and results.
    pub fn value_count(&self) -> usize {
        self.types.len()
    }

    /// The type of a value.
    pub fn ty(&self, value: ValueId) -> &TensorType {
        &self.types[value.index()]
    }

    /// Infers every type again and compares: catches a pass that builds nonsense.
    ///
    /// # Errors
    /// As [`Graph::new`]; `InvalidArgument` for a type that is not what the type rule says.
    pub fn check(&self) -> Result<()> {
        let broken = |node: &Node, what: &str| {
            let message = format!("malformed program: {what}");
            Err(Error::new(node.op.name(), ErrorKind::InvalidArgument(message), node.place))
        };
        let mut next = self.input_count;
        for node in &self.nodes {
            if node.first.index() != next {
                return broken(node, "results are not numbered in order");
            }
            if node.operands.iter().any(|v| v.index() >= next) {
                return broken(node, "an operand is not computed before it is used");
            }
            let types = infer(node, &self.types)?;
            if self.types.get(next..next + types.len()) != Some(&types[..]) {
                return broken(node, "a type is not what the type rule says");
            }
            next += types.len();
        }
        if next != self.types.len() || self.outputs.iter().any(|v| v.index() >= next) {
            let kind = ErrorKind::InvalidArgument("malformed program: unknown value".into());
            return Err(Error::new("graph", kind, Place(None)));
        }
        Ok(())
    }

    /// The index of the last node that reads each value; `usize::MAX` for outputs, `None` for
    /// values that nothing reads.
    pub fn last_uses(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.types.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            node.operands.iter().for_each(|v| last[v.index()] = Some(i));
        }
        self.outputs.iter().for_each(|v| last[v.index()] = Some(usize::MAX));
        last
    }

    /// Which operations some output needs.
    pub fn live(&self) -> Vec<bool> {
        builder::live(&self.nodes, self.types.len(), &self.outputs)
    }

    /// The index of the node that computes each value; `None` for inputs.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.types.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            node.results().for_each(|v| producers[v as usize] = Some(i));
        }
        producers
    }

    /// Runs the program by reference evaluation: slow, obviously correct, the oracle of backends.
    ///
    /// # Errors
    /// `InvalidArgument` unless the inputs have the types that the program takes; those of the
    /// operations, such as `IndexOutOfBounds`, `Singular`, `LoopLimit`; `OutOfMemory`, `Cancelled`.
    pub fn evaluate(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        self.check_inputs(inputs)?;
        deeper(|| self.evaluate_nodes(inputs))
    }

    fn evaluate_nodes(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let last = self.last_uses();
        let mut values: Vec<Option<Array>> = inputs.iter().cloned().map(Some).collect();
        values.resize(self.types.len(), None);
        let dead = |v: ValueId, now: usize| last[v.index()].is_none_or(|l| l <= now);
        for (i, node) in self.nodes.iter().enumerate() {
            let operands: Vec<Array> =
                node.operands.iter().filter_map(|v| values[v.index()].clone()).collect();
            let types: Types = node.results().map(|v| self.types[v as usize].clone()).collect();
            let results = node
                .op
                .evaluate(&operands, &types)
                .map_err(|kind| Error::new(node.op.name(), kind, node.place))?;
            for (v, array) in node.results().zip(results) {
                values[v as usize] = Some(array);
            }
            for v in node.operands.iter().copied().filter(|&v| dead(v, i)) {
                values[v.index()] = None;
            }
        }
        Ok(self.outputs.iter().filter_map(|v| values[v.index()].clone()).collect())
    }

    /// Where the operation with the largest results stands, of which is told when there is no room for
    /// the program; nowhere if that is a constant from outside.
    pub fn largest(&self) -> Place {
        let bytes = |v| self.types[v as usize].bytes();
        let total = |node: &&Node| node.results().map(bytes).fold(0, usize::saturating_add);
        let largest = self.nodes.iter().max_by_key(total);
        let known = largest.filter(|node| node.place.line().is_some());
        known.map_or(Place(None), |node| node.place.or_op(node.op.name()))
    }

    /// Checks that arrays have the types of the inputs.
    ///
    /// # Errors
    /// `InvalidArgument` if not.
    pub fn check_inputs(&self, inputs: &[Array]) -> Result<()> {
        let fits = inputs.len() == self.input_count
            && inputs.iter().zip(&self.types).all(|(array, ty)| array.ty() == *ty);
        if fits {
            return Ok(());
        }
        let given: Vec<TensorType> = inputs.iter().map(Array::ty).collect();
        let message = format!("the program takes {:?}, got {given:?}", self.inputs());
        Err(Error::new("run", ErrorKind::InvalidArgument(message), Place(None)))
    }
}

fn infer(node: &Node, types: &[TensorType]) -> Result<Types> {
    let operands: SmallVec<[TensorType; 3]> =
        node.operands.iter().filter_map(|v| types.get(v.index()).cloned()).collect();
    node.op.infer(&operands).map_err(|kind| Error::new(node.op.name(), kind, node.place))
}

impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Node, &Node)| a.op == b.op && a.operands == b.operands;
        self.digest() == other.digest()
            && self.input_count == other.input_count
            && self.types == other.types
            && self.outputs == other.outputs
            && self.nodes.len() == other.nodes.len()
            && deeper(|| self.nodes.iter().zip(&other.nodes).all(same))
    }
}

impl Eq for Graph {}

impl Hash for Graph {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl Graph {
    fn digest(&self) -> u64 {
        let compute = || {
            let mut state = DefaultHasher::new();
            self.inputs().hash(&mut state);
            self.outputs.hash(&mut state);
            for node in &self.nodes {
                node.op.hash(&mut state);
                node.operands.hash(&mut state);
            }
            state.finish()
        };
        *self.digest.get_or_init(|| deeper(compute))
    }
}

/// Programs in programs go one level at a time.
impl Drop for Graph {
    fn drop(&mut self) {
        deeper(|| self.nodes.clear());
    }
}

/// The letter name of a value: a, b, …, z, aa, ab, ….
struct Name(ValueId);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = Vec::new();
        let mut n = self.0.index() + 1;
        while n > 0 {
            n -= 1;
            letters.push((b'a' + (n % 26) as u8) as char);
            n /= 26;
        }
        letters.iter().rev().try_for_each(|c| write!(f, "{c}"))
    }
}

/// One operation a line: `c:f64[3] = mul a b`.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        deeper(|| self.print(f))
    }
}

impl Graph {
    fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ λ")?;
        for (i, ty) in self.inputs().iter().enumerate() {
            write!(f, " {}:{ty}", Name(ValueId(i as u32)))?;
        }
        writeln!(f, " .")?;
        for node in &self.nodes {
            f.write_str("  ")?;
            for v in node.results() {
                write!(f, "{}:{} ", Name(ValueId(v)), self.types[v as usize])?;
            }
            write!(f, "= {}", node.op)?;
            node.operands.iter().try_for_each(|&v| write!(f, " {}", Name(v)))?;
            writeln!(f)?;
        }
        f.write_str("  in (")?;
        for (i, &v) in self.outputs.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, Name(v))?;
        }
        f.write_str(") }")
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

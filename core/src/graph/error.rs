use alloc::string::String;
use core::fmt;

/// Why a graph is none that can be run, and at which node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphError {
    /// The node, input or output at fault; none where it is the whole description.
    pub node: Option<String>,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The description is not of the form that [`Graph`](super::Graph) states.
    Form(String),
    /// A name that is empty, too long or has other characters than letters, digits and `._-/`.
    Name,
    /// Two values, or two outputs, have this name.
    Duplicate,
    /// No operation of this name is known.
    UnknownOp(String),
    /// Parameters that the operation does not take.
    Params(String),
    /// It reads a value that nothing makes.
    UnknownValue(String),
    /// It reads a value that is made only later, or by itself.
    Forward(String),
    /// No output depends on it.
    Unused,
    /// The values it reads do not fit the operation or each other.
    Inputs(String),
    /// More of something than a graph may have.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there would be.
        count: u64,
        /// How many there may be.
        most: u64,
    },
    /// An image size, or a value at it, that the graph does not take.
    Size(String),
}

impl Fault {
    /// This fault at a node.
    #[must_use]
    pub fn at(self, node: &str) -> GraphError {
        GraphError {
            node: Some(node.into()),
            fault: self,
        }
    }

    /// This fault of the whole graph.
    #[must_use]
    pub fn whole(self) -> GraphError {
        GraphError {
            node: None,
            fault: self,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(why) => write!(
                f,
                "its description cannot be read ({why}): write it again, or take another model"
            ),
            Self::Name => write!(
                f,
                "the name is not 1 to {} letters, digits, dots, hyphens, underscores and slashes: rename it",
                super::limits::NAME
            ),
            Self::Duplicate => write!(f, "the name is used twice: rename one of them"),
            Self::UnknownOp(op) => write!(
                f,
                "the operation {op:?} is not known: update the program or the model"
            ),
            Self::Params(why) => write!(f, "its parameters are not usable: {why}"),
            Self::UnknownValue(value) => write!(
                f,
                "it reads {value:?}, which nothing makes: name an input or an earlier node"
            ),
            Self::Forward(value) => write!(
                f,
                "it reads {value:?}, which is made later: put the nodes in order"
            ),
            Self::Unused => write!(f, "no output depends on it: take it out"),
            Self::Inputs(why) => write!(f, "what it reads does not fit: {why}"),
            Self::TooMany { what, count, most } => {
                write!(
                    f,
                    "{count} {what} are more than the {most} that a graph may have: take a smaller network"
                )
            }
            Self::Size(why) => write!(f, "{why}"),
        }
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node}: {}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}

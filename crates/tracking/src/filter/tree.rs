//! What a filter is read into.

use super::Comparison;

/// A filter: comparisons joined by AND, OR and NOT.
///
/// Every part of it either holds or does not; nothing is unknown as in SQL. So `NOT params.lr = '1'`
/// holds for a run without the param, which `params.lr != '1'` does not.
///
/// [`parse`](super::parse) makes it in its simplest form: no part of an AND is an AND, no part of an
/// OR is an OR, both have at least two parts, and no NOT stands on a NOT. Only a whole filter may be
/// an AND of nothing, which finds everything.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Is(Comparison),
}

impl Default for Filter {
    fn default() -> Self {
        Filter::All(Vec::new())
    }
}

impl Filter {
    pub(super) fn all(parts: Vec<Filter>) -> Filter {
        let flat = parts.into_iter().flat_map(|part| match part {
            Filter::All(parts) => parts,
            part => vec![part],
        });
        single(flat.collect()).unwrap_or_else(Filter::All)
    }

    pub(super) fn any(parts: Vec<Filter>) -> Filter {
        let flat = parts.into_iter().flat_map(|part| match part {
            Filter::Any(parts) => parts,
            part => vec![part],
        });
        single(flat.collect()).unwrap_or_else(Filter::Any)
    }

    pub(super) fn not(part: Filter) -> Filter {
        match part {
            Filter::Not(part) => *part,
            part => Filter::Not(Box::new(part)),
        }
    }

    /// The parts that must all hold, one if it is no AND.
    pub fn conjuncts(&self) -> &[Filter] {
        match self {
            Filter::All(parts) => parts,
            part => std::slice::from_ref(part),
        }
    }

    /// Every comparison, from left to right.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        match self {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().flat_map(Filter::comparisons).collect(),
            Filter::Not(part) => part.comparisons(),
            Filter::Is(comparison) => vec![comparison],
        }
    }
}

fn single(mut parts: Vec<Filter>) -> Result<Filter, Vec<Filter>> {
    match parts.pop() {
        Some(part) if parts.is_empty() => Ok(part),
        Some(part) => {
            parts.push(part);
            Err(parts)
        }
        None => Err(parts),
    }
}

//! How large a document may be: MLflow's limits (CVE-2025-0453 was the lack of them), and two of the parser.
//!
//! Measured on the syntax alone and without recursion, so that no document is costly before it is refused.

use std::collections::{HashMap, HashSet};

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, FragmentDefinition, Selection};

/// Braces and brackets inside each other, in the parser.
pub(super) const NESTING: usize = 64;
pub(super) const TOKENS: usize = 20_000;

const DEPTH: usize = 10;
const SELECTIONS: usize = 1000;
const ROOT_FIELDS: usize = 10;
/// On one level.
const ALIASES: usize = 10;

/// Says what is too much. Fragments count wherever they are spread.
pub(super) fn check(document: &Document) -> Result<(), String> {
    let fragments: HashMap<&Name, &FragmentDefinition> = document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::FragmentDefinition(fragment) => Some((&fragment.name, &**fragment)),
            _ => None,
        })
        .collect();
    let mut selections = 0;
    let mut root_fields = 0;
    for definition in &document.definitions {
        let Definition::OperationDefinition(operation) = definition else { continue };
        let mut levels = vec![(&operation.selection_set, 1)];
        while let Some((level, depth)) = levels.pop() {
            if depth > DEPTH {
                return Err(format!("Query exceeds maximum depth of {DEPTH}"));
            }
            let mut aliases = 0;
            let mut spread = HashSet::new();
            let mut open = vec![level];
            while let Some(set) = open.pop() {
                for selection in set {
                    selections += 1;
                    if selections > SELECTIONS {
                        return Err(format!("Query exceeds maximum total selections of {SELECTIONS}"));
                    }
                    match selection {
                        Selection::Field(field) => {
                            root_fields += usize::from(depth == 1);
                            aliases += usize::from(field.alias.is_some());
                            if !field.selection_set.is_empty() {
                                levels.push((&field.selection_set, depth + 1));
                            }
                        }
                        Selection::InlineFragment(inline) => open.push(&inline.selection_set),
                        Selection::FragmentSpread(named) => {
                            if spread.insert(&named.fragment_name)
                                && let Some(fragment) = fragments.get(&named.fragment_name)
                            {
                                open.push(&fragment.selection_set);
                            }
                        }
                    }
                }
            }
            at_most("aliases", aliases, ALIASES)?;
        }
    }
    at_most("root fields", root_fields, ROOT_FIELDS)
}

fn at_most(what: &str, given: usize, most: usize) -> Result<(), String> {
    if given <= most {
        return Ok(());
    }
    Err(format!("GraphQL queries should have at most {most} {what}, got {given} {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(query: &str) -> Result<(), String> {
        check(&apollo_compiler::parser::Parser::new().parse_ast(query, "query").unwrap())
    }

    fn nested(depth: usize) -> String {
        format!("{}a{}", "{a".repeat(depth - 1) + "{", "}".repeat(depth))
    }

    #[test]
    fn depth() {
        assert_eq!(checked(&nested(10)), Ok(()));
        assert_eq!(checked(&nested(11)), Err("Query exceeds maximum depth of 10".to_owned()));
        let hidden = format!("fragment F on Query {} {{...F}}", nested(11));
        assert_eq!(checked(&hidden), Err("Query exceeds maximum depth of 10".to_owned()));
    }

    #[test]
    fn circles_end() {
        assert_eq!(checked("fragment F on Query {...F} {...F}"), Ok(()));
        assert_eq!(
            checked("fragment F on Query {a{...G}} fragment G on Query {a{...F}} {...F}"),
            Err("Query exceeds maximum depth of 10".to_owned())
        );
        let doubling =
            "fragment F on Query {a{...G} b{...G} c{...G}} fragment G on Query {a{...F} b{...F} c{...F}} {...F}";
        assert!(checked(doubling).is_err());
    }

    #[test]
    fn selections() {
        let wide = |fields: usize| format!("{{a{{{}}}}}", "b ".repeat(fields));
        assert_eq!(checked(&wide(999)), Ok(()));
        assert_eq!(checked(&wide(1000)), Err("Query exceeds maximum total selections of 1000".to_owned()));
    }

    #[test]
    fn roots_and_aliases() {
        let roots = |fields: usize| format!("{{{}}}", "a ".repeat(fields));
        assert_eq!(checked(&roots(10)), Ok(()));
        assert_eq!(
            checked(&roots(11)),
            Err("GraphQL queries should have at most 10 root fields, got 11 root fields.".to_owned())
        );
        let aliases = |from: usize, to: usize| (from..to).map(|i| format!("a{i}:b ")).collect::<String>();
        assert_eq!(checked(&format!("{{a{{{}}}}}", aliases(0, 10))), Ok(()));
        let split = format!("fragment F on Query {{{}}} {{a{{...F ... {{{}}}}}}}", aliases(0, 6), aliases(6, 11));
        assert_eq!(checked(&split), Err("GraphQL queries should have at most 10 aliases, got 11 aliases.".to_owned()));
    }
}

//! One condition: key, comparator, value.

use super::entity::Place;
use super::error::{FilterError, either, named};
use super::key::{described, read_key};
use super::lexer::{Kind, Token};
use super::parser::{Parser, unclosed};
use super::{Comparison, Field, Op};

impl Parser<'_> {
    pub(super) fn comparison(&mut self) -> Result<Comparison, FilterError> {
        let field = read_key(self.entity, Place::Filter, &mut self.lexer)?;
        let rules = self.entity.rules(&field);
        let (op, op_at) = self.op(&field, rules.ops)?;
        if !rules.ops.contains(&op) {
            let message = format!("The comparator {} does not fit the {}.", op.symbol(), described(&field));
            return Err(self.error(op_at, message, accepted_ops(rules.ops)));
        }
        let value = self.value_of(&field, op, rules.value)?;
        Ok(Comparison { field, op, value })
    }

    fn op(&mut self, field: &Field, accepted: &[Op]) -> Result<(Op, usize), FilterError> {
        let token = self.lexer.next();
        let word = self.lexer.slice(token);
        let op = match (token.kind, word) {
            (Kind::Comparator, "=") => Some(Op::Eq),
            (Kind::Comparator, "!=") => Some(Op::Ne),
            (Kind::Comparator, "<") => Some(Op::Lt),
            (Kind::Comparator, "<=") => Some(Op::Le),
            (Kind::Comparator, ">") => Some(Op::Gt),
            (Kind::Comparator, ">=") => Some(Op::Ge),
            (Kind::Word, _) => match word.to_ascii_uppercase().as_str() {
                "LIKE" => Some(Op::Like),
                "ILIKE" => Some(Op::ILike),
                "RLIKE" => Some(Op::RLike),
                "IN" => Some(Op::In),
                "BETWEEN" => Some(Op::Between),
                "IS" => return Ok((self.null_op(field)?, token.start)),
                "NOT" => self.negated_op(),
                _ => None,
            },
            _ => None,
        };
        match op {
            Some(op) => Ok((op, token.start)),
            None => Err(self.no_op(token, field, accepted)),
        }
    }

    fn negated_op(&mut self) -> Option<Op> {
        let ops = [
            ("IN", Op::NotIn),
            ("LIKE", Op::NotLike),
            ("ILIKE", Op::NotILike),
            ("RLIKE", Op::NotRLike),
            ("BETWEEN", Op::NotBetween),
        ];
        ops.into_iter().find_map(|(keyword, op)| self.takes_keyword(keyword).then_some(op))
    }

    fn no_op(&mut self, token: Token, field: &Field, accepted: &[Op]) -> FilterError {
        let found = self.lexer.slice(token);
        let name = described(field);
        let mut help = accepted_ops(accepted);
        let message = match token.kind {
            Kind::End => format!("The {name} stands alone, a comparator is missing behind it."),
            Kind::Unclosed => return unclosed(&self.lexer, token),
            Kind::Comparator | Kind::Word if is_foreign_comparator(found) => {
                format!("{} is not a comparator.", named(found))
            }
            Kind::Word if self.lexer.is_keyword(token, "NOT") => {
                format!("NOT stands behind the {name} without a comparator.")
            }
            kind => {
                help.push_str(
                    " A key with other characters than letters, digits, '_' and '.' needs backticks: \
                     metrics.`val loss`.",
                );
                let found = named(found);
                if kind == Kind::Comment {
                    format!("{found} starts a comment, but filters hold none.")
                } else {
                    format!("{found} stands behind the {name}, where a comparator is expected.")
                }
            }
        };
        self.error(token.start, message, help)
    }

    fn null_op(&mut self, field: &Field) -> Result<Op, FilterError> {
        let not = self.takes_keyword("NOT");
        if self.takes_keyword("NULL") {
            return Ok(if not { Op::IsNotNull } else { Op::IsNull });
        }
        let at = self.lexer.peek().start;
        let message = format!("NULL is missing behind IS for the {}.", described(field));
        Err(self.error(at, message, "Write IS NULL or IS NOT NULL."))
    }
}

fn accepted_ops(ops: &[Op]) -> String {
    format!("Accepted there: {}.", either(ops.iter().map(|op| op.symbol())))
}

/// Comparators of other languages, for a shorter message than for a stray word.
fn is_foreign_comparator(text: &str) -> bool {
    let word = text.to_ascii_uppercase();
    text.starts_with(['<', '>', '=', '!', '~']) || matches!(&*word, "REGEXP" | "MATCHES" | "CONTAINS")
}

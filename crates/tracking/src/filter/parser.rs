//! Tokens into comparisons.

use super::entity::Place;
use super::error::{FilterError, either, named};
use super::key::{described, read_key};
use super::lexer::{Kind, Lexer, Token};
use super::{Comparison, Entity, Field, MAX_BYTES, MAX_COMPARISONS, Op, Value};

/// Reads a filter: conditions that must all hold. An empty text is no filter.
pub fn parse(entity: Entity, text: &str) -> Result<Vec<Comparison>, FilterError> {
    too_long(text)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut parser = Parser { entity, lexer: Lexer::new(text) };
    if parser.lexer.peek().kind == Kind::End {
        // As MLflow, which refuses blanks.
        return Err(parser.error(0, "The filter holds only blanks.", "Leave it empty to find everything."));
    }
    parser.conjunction()
}

pub(super) fn too_long(text: &str) -> Result<(), FilterError> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("The text is {} bytes long.", text.len());
    let help = format!("At most {MAX_BYTES} bytes are read.");
    Err(FilterError::new("…", 0, message, help))
}

pub(super) struct Parser<'a> {
    entity: Entity,
    pub(super) lexer: Lexer<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn error(&self, at: usize, message: impl Into<String>, help: impl Into<String>) -> FilterError {
        FilterError::new(self.lexer.text, at, message, help)
    }

    /// `condition (AND condition)*`. As in MLflow, AND may also be missing, doubled, in front or at
    /// the end.
    fn conjunction(&mut self) -> Result<Vec<Comparison>, FilterError> {
        let mut comparisons = Vec::new();
        let mut joined = true;
        loop {
            let token = self.lexer.peek();
            if token.kind == Kind::End {
                return Ok(comparisons);
            }
            if self.lexer.is_keyword(token, "AND") {
                self.lexer.next();
                joined = true;
                continue;
            }
            if comparisons.len() == MAX_COMPARISONS {
                let message = format!("The filter has more than {MAX_COMPARISONS} conditions.");
                return Err(self.error(token.start, message, "Use fewer, or a list behind IN."));
            }
            comparisons.push(self.condition(joined)?);
            joined = false;
        }
    }

    /// `joined` says that AND, or nothing, stands before it.
    fn condition(&mut self, joined: bool) -> Result<Comparison, FilterError> {
        let start = self.lexer.peek();
        if !matches!(start.kind, Kind::Word | Kind::Quoted | Kind::Backticked) {
            return Err(self.no_condition(start, joined));
        }
        for keyword in ["OR", "NOT"] {
            if self.lexer.is_keyword(start, keyword) {
                let message = format!("{keyword} is not known in filters.");
                let help = "Conditions can only be joined with AND.";
                return Err(self.error(start.start, message, help));
            }
        }
        let field = match read_key(self.entity, Place::Filter, &mut self.lexer) {
            Ok(field) => field,
            Err(error) if joined || error.position != start.start => return Err(error),
            Err(_) => return Err(self.no_condition(start, joined)),
        };
        let rules = self.entity.rules(&field);
        let (op, op_at) = self.op(&field, rules.ops)?;
        if !rules.ops.contains(&op) {
            let message = format!("The comparator {} does not fit the {}.", op.symbol(), described(&field));
            return Err(self.error(op_at, message, accepted_ops(rules.ops)));
        }
        let value = match op {
            Op::IsNull | Op::IsNotNull => Value::None,
            Op::In | Op::NotIn => Value::List(self.list(&field, rules.value)?),
            _ => self.value(&field, rules.value)?,
        };
        Ok(Comparison { field, op, value })
    }

    /// What stands where a condition should start, and cannot start one.
    fn no_condition(&self, token: Token, joined: bool) -> FilterError {
        let found = named(self.lexer.slice(token));
        let example = format!("Conditions look like {}", self.entity.example());
        let (message, help) = match token.kind {
            Kind::Unclosed => return unclosed(&self.lexer, token),
            Kind::Comment => (
                format!("{found} starts a comment, but filters hold none."),
                "Leave it out, or put quotation marks around it if it belongs to a value.".into(),
            ),
            Kind::Semicolon => {
                ("A semicolon does not belong into a filter.".into(), "Join conditions with AND.".into())
            }
            Kind::Open | Kind::Close => (
                "A parenthesis stands where a condition is expected.".into(),
                "Parentheses are only for the list behind IN and NOT IN; conditions are joined with AND.".into(),
            ),
            _ if joined => (format!("{found} stands where a condition is expected."), example),
            _ => (
                format!("{found} stands behind a whole condition."),
                "Write AND and the next condition there. A text with blanks or quotation marks in it needs \
                 quotation marks around it, a key with other characters than letters, digits, '_' and '.' \
                 needs backticks."
                    .into(),
            ),
        };
        self.error(token.start, message, help)
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
                "IN" => Some(Op::In),
                "IS" => return Ok((self.null_op(field)?, token.start)),
                "NOT" if self.next_is("IN") => Some(Op::NotIn),
                _ => None,
            },
            _ => None,
        };
        match op {
            Some(op) => Ok((op, token.start)),
            None => Err(self.no_op(token, field, accepted)),
        }
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
                "NOT is only known in NOT IN and IS NOT NULL.".to_owned()
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
        let not = self.next_is("NOT");
        if self.next_is("NULL") {
            return Ok(if not { Op::IsNotNull } else { Op::IsNull });
        }
        let at = self.lexer.peek().start;
        let message = format!("NULL is missing behind IS for the {}.", described(field));
        Err(self.error(at, message, "Write IS NULL or IS NOT NULL."))
    }

    /// Takes the next token if it is this keyword.
    fn next_is(&mut self, keyword: &str) -> bool {
        let token = self.lexer.peek();
        let found = self.lexer.is_keyword(token, keyword);
        if found {
            self.lexer.next();
        }
        found
    }
}

fn accepted_ops(ops: &[Op]) -> String {
    format!("Accepted there: {}.", either(ops.iter().map(|op| op.symbol())))
}

/// Comparators of other languages, for a shorter message than for a stray word.
fn is_foreign_comparator(text: &str) -> bool {
    let word = text.to_ascii_uppercase();
    text.starts_with(['<', '>', '=', '!', '~']) || matches!(&*word, "RLIKE" | "REGEXP" | "BETWEEN")
}

pub(super) fn unclosed(lexer: &Lexer<'_>, token: Token) -> FilterError {
    let mark = lexer.slice(token);
    let message = format!("The quotation that starts with {mark} has no end.");
    FilterError::new(lexer.text, token.start, message, format!("Write {mark} behind its last character."))
}

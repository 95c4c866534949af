//! Tokens into the tree: `all (OR all)*`, where `all` is `condition (AND condition)*` and a condition
//! is a comparison, a filter in parentheses, or NOT before one of the two.

use super::error::{FilterError, named};
use super::lexer::{Kind, Lexer, Token};
use super::{Entity, Filter, MAX_BYTES, MAX_COMPARISONS, MAX_DEPTH};

/// Reads a filter. An empty text is no filter.
pub fn parse(entity: Entity, text: &str) -> Result<Filter, FilterError> {
    too_long(text)?;
    if text.is_empty() {
        return Ok(Filter::default());
    }
    let mut parser =
        Parser { entity, lexer: Lexer::new(text), comparisons: 0, depth: 0, is_tree: false, misjoined: None };
    if parser.lexer.peek().kind == Kind::End {
        // As MLflow, which refuses blanks.
        return Err(parser.error(0, "The filter holds only blanks.", "Leave it empty to find everything."));
    }
    let filter = parser.any()?;
    let rest = parser.lexer.peek();
    if rest.kind == Kind::Close {
        let help = "Leave it out, or write ( where its group begins.";
        return Err(parser.error(rest.start, "The parenthesis closes none that is open.", help));
    }
    match parser.misjoined {
        Some(token) if parser.is_tree => Err(parser.misjoined_error(token)),
        _ => Ok(filter),
    }
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
    pub(super) entity: Entity,
    pub(super) lexer: Lexer<'a>,
    comparisons: usize,
    depth: usize,
    /// There is an OR, a NOT or a parenthesis: this is no filter of MLflow's.
    is_tree: bool,
    /// The first place where AND is in front, at the end, doubled or left out. MLflow accepts that, so
    /// it is accepted in filters of MLflow's; elsewhere it would only hide mistakes.
    misjoined: Option<Token>,
}

impl<'a> Parser<'a> {
    pub(super) fn error(&self, at: usize, message: impl Into<String>, help: impl Into<String>) -> FilterError {
        FilterError::new(self.lexer.text, at, message, help)
    }

    fn any(&mut self) -> Result<Filter, FilterError> {
        let mut choices = vec![self.all()?];
        while self.takes_keyword("OR") {
            self.is_tree = true;
            choices.push(self.all()?);
        }
        Ok(Filter::any(choices))
    }

    fn all(&mut self) -> Result<Filter, FilterError> {
        let mut parts = Vec::new();
        let mut and = None;
        loop {
            let token = self.lexer.peek();
            if matches!(token.kind, Kind::End | Kind::Close) || self.lexer.is_keyword(token, "OR") {
                break;
            }
            if self.lexer.is_keyword(token, "AND") {
                self.lexer.next();
                if parts.is_empty() || and.is_some() {
                    self.misjoined.get_or_insert(token);
                }
                and = Some(token);
                continue;
            }
            let joined = parts.is_empty() || and.is_some();
            if !joined {
                self.misjoined.get_or_insert(token);
            }
            parts.push(self.condition(joined)?);
            and = None;
        }
        match and {
            Some(token) => {
                self.misjoined.get_or_insert(token);
            }
            None if parts.is_empty() => return Err(self.nothing()),
            None => {}
        }
        Ok(Filter::all(parts))
    }

    /// `joined` says that AND, OR, NOT or nothing stands before it.
    fn condition(&mut self, joined: bool) -> Result<Filter, FilterError> {
        let start = self.lexer.peek();
        match start.kind {
            Kind::Open => {
                self.lexer.next();
                self.deeper(start)?;
                let filter = self.any()?;
                if self.lexer.next().kind != Kind::Close {
                    let help = "Write ) behind the last condition of its group.";
                    return Err(self.error(start.start, "The parenthesis is not closed.", help));
                }
                self.depth -= 1;
                Ok(filter)
            }
            Kind::Word if self.lexer.is_keyword(start, "NOT") => {
                self.lexer.next();
                self.deeper(start)?;
                let filter = self.condition(true)?;
                self.depth -= 1;
                Ok(Filter::not(filter))
            }
            Kind::Word | Kind::Quoted | Kind::Backticked => {
                if self.comparisons == MAX_COMPARISONS {
                    let message = format!("The filter has more than {MAX_COMPARISONS} conditions.");
                    return Err(self.error(start.start, message, "Use fewer, or a list behind IN."));
                }
                self.comparisons += 1;
                match self.comparison() {
                    // What is no key at all, behind a condition: that is where the mistake is.
                    Err(error) if !joined && error.position == start.start => Err(self.no_condition(start, joined)),
                    comparison => Ok(Filter::Is(comparison?)),
                }
            }
            _ => Err(self.no_condition(start, joined)),
        }
    }

    fn deeper(&mut self, token: Token) -> Result<(), FilterError> {
        self.is_tree = true;
        self.depth += 1;
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("NOT and parentheses are nested more than {MAX_DEPTH} deep.");
        Err(self.error(token.start, message, "Leave out those that change nothing."))
    }

    /// Nothing stands where a condition, or several, should.
    fn nothing(&mut self) -> FilterError {
        let token = self.lexer.peek();
        let help = format!("Conditions look like {}", self.entity.example());
        let message = match token.kind {
            Kind::End => "A condition is missing at the end of the filter.".to_owned(),
            Kind::Close => "A condition is missing before the parenthesis.".to_owned(),
            _ => format!("{} stands where a condition is expected.", named(self.lexer.slice(token))),
        };
        self.error(token.start, message, help)
    }

    /// What stands where a condition should start, and cannot start one.
    fn no_condition(&self, token: Token, joined: bool) -> FilterError {
        let found = named(self.lexer.slice(token));
        let example = format!("Conditions look like {}", self.entity.example());
        let (message, help) = match token.kind {
            Kind::Unclosed => return unclosed(&self.lexer, token),
            Kind::End | Kind::Close => ("A condition is missing behind NOT.".into(), example),
            Kind::Comment => (
                format!("{found} starts a comment, but filters hold none."),
                "Leave it out, or put quotation marks around it if it belongs to a value.".into(),
            ),
            Kind::Semicolon => {
                ("A semicolon does not belong into a filter.".into(), "Join conditions with AND or OR.".into())
            }
            _ if joined => (format!("{found} stands where a condition is expected."), example),
            _ => (
                format!("{found} stands behind a whole condition."),
                "Write AND or OR and the next condition there. A text with blanks or quotation marks in it needs \
                 quotation marks around it, a key with other characters than letters, digits, '_' and '.' \
                 needs backticks."
                    .into(),
            ),
        };
        self.error(token.start, message, help)
    }

    fn misjoined_error(&self, token: Token) -> FilterError {
        let found = named(self.lexer.slice(token));
        if self.lexer.is_keyword(token, "AND") {
            let message = format!("{found} does not stand between two conditions.");
            return self.error(token.start, message, "Leave it out, or write a condition on both sides of it.");
        }
        self.error(token.start, format!("AND or OR is missing before {found}."), "Say which of them it is.")
    }

    /// Takes the next token if it is this keyword.
    pub(super) fn takes_keyword(&mut self, keyword: &str) -> bool {
        let token = self.lexer.peek();
        let found = self.lexer.is_keyword(token, keyword);
        if found {
            self.lexer.next();
        }
        found
    }
}

pub(super) fn unclosed(lexer: &Lexer<'_>, token: Token) -> FilterError {
    let mark = lexer.slice(token);
    let message = format!("The quotation that starts with {mark} has no end.");
    FilterError::new(lexer.text, token.start, message, format!("Write {mark} behind its last character."))
}

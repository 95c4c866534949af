//! Regular expressions behind RLIKE.

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The longest pattern, in bytes.
const MAX_BYTES: usize = 10_000;
/// The largest pattern, once its repetitions are written out, in characters and classes.
const MAX_SIZE: usize = 2_000;
/// The memory that one may take when it is compiled.
const MAX_COMPILED_BYTES: usize = 16 << 20;
const MAX_NESTING: u32 = 100;

/// A regular expression in the syntax of Rust's `regex`: without look-around and back-references, so
/// that a search with it takes time in proportion to the text, whatever it is.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    hir: Hir,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text() == other.text()
    }
}

/// Why a text is no pattern, and where in it, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    pub message: String,
    pub offset: usize,
}

impl Pattern {
    pub fn new(text: &str) -> Result<Pattern, PatternError> {
        let too_large = |message: String| PatternError { message, offset: 0 };
        if text.len() > MAX_BYTES {
            return Err(too_large(format!("it has {} bytes, and at most {MAX_BYTES} are read", text.len())));
        }
        let hir = ParserBuilder::new().nest_limit(MAX_NESTING).build().parse(text).map_err(|error| {
            let (message, span) = match &error {
                regex_syntax::Error::Parse(error) => (error.kind().to_string(), Some(error.span())),
                regex_syntax::Error::Translate(error) => (error.kind().to_string(), Some(error.span())),
                other => (other.to_string(), None),
            };
            PatternError { message, offset: span.map_or(0, |span| span.start.offset) }
        })?;
        if size(&hir) > MAX_SIZE {
            return Err(too_large(format!(
                "with its repetitions written out it is larger than {MAX_SIZE} characters and classes"
            )));
        }
        let regex = RegexBuilder::new(text)
            .nest_limit(MAX_NESTING)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|_| too_large("it is too large".to_owned()))?;
        Ok(Pattern { regex, hir })
    }

    /// What was written.
    pub fn text(&self) -> &str {
        self.regex.as_str()
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// What it means, for an engine that has to be told in its own words.
    pub fn hir(&self) -> &Hir {
        &self.hir
    }
}

/// How many characters and classes a pattern is once its repetitions are written out.
fn size(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty => 1,
        HirKind::Literal(literal) => literal.0.len(),
        // Tables of many ranges, as `\w` has them, cost more than one of few.
        HirKind::Class(Class::Unicode(class)) => 1 + class.ranges().len() / 50,
        HirKind::Class(Class::Bytes(_)) => 1,
        // Its engine tests the characters on both sides, which are those of `\w`.
        HirKind::Look(Look::Start | Look::End | Look::StartLF | Look::EndLF) => 1,
        HirKind::Look(_) => 30,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min + 1).max(1);
            size(&repetition.sub).saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => size(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(size).fold(0, usize::saturating_add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, usize) {
        let error = Pattern::new(text).expect_err(text);
        (error.message, error.offset)
    }

    #[test]
    fn patterns_match_anywhere_in_a_text() {
        let pattern = Pattern::new("b+").unwrap();
        assert!(pattern.is_match("abbc"));
        assert!(!pattern.is_match("ABC"));
        assert!(Pattern::new("(?i)^ä.\\w$").unwrap().is_match("Ä-é"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_place() {
        assert_eq!(refused("ab(c"), ("unclosed group".to_owned(), 2));
        assert_eq!(refused("a[b").1, 1);
        assert_eq!(refused("x*?+{").1, 4);
        assert_eq!(
            refused("é(?=x)"),
            ("look-around, including look-ahead and look-behind, is not supported".to_owned(), 2)
        );
        assert_eq!(refused(r"(a)\1"), ("backreferences are not supported".to_owned(), 3));
    }

    #[test]
    fn large_patterns_are_refused() {
        assert!(refused("a{2001}").0.contains("larger than 2000"));
        assert!(refused("((((a{99}){99}){99}){99}){99}").0.contains("larger than 2000"));
        assert!(refused(r"\w{500}").0.contains("larger than 2000"));
        assert!(refused(&"a".repeat(10_001)).0.contains("10001 bytes"));
        assert!(Pattern::new(&"(".repeat(5_000)).is_err());
        assert!(Pattern::new(r"^\w{1,100}-[0-9a-f]{32}$").is_ok());
    }
}

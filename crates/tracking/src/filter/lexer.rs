//! Text into tokens. Nothing here knows what a filter means.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits and underscores; also what starts like a number and goes on like a word.
    Word,
    Number,
    /// `'..'` or `".."`.
    Quoted,
    /// `` `..` ``
    Backticked,
    /// A run of `< > = ! ~`.
    Comparator,
    Open,
    Close,
    Comma,
    Dot,
    Semicolon,
    /// The start of a comment: `--`, `#` or `/*`.
    Comment,
    /// A quotation mark whose partner is missing.
    Unclosed,
    /// Any other character.
    Other,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

pub(super) struct Lexer<'a> {
    pub text: &'a str,
    position: usize,
    peeked: Option<Token>,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Lexer { text, position: 0, peeked: None }
    }

    pub fn slice(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    /// What stands between the marks of a quoted or backticked token.
    pub fn inner(&self, token: Token) -> &'a str {
        &self.text[token.start + 1..token.end - 1]
    }

    pub fn is_keyword(&self, token: Token, keyword: &str) -> bool {
        token.kind == Kind::Word && self.slice(token).eq_ignore_ascii_case(keyword)
    }

    pub fn peek(&mut self) -> Token {
        match self.peeked {
            Some(token) => token,
            None => {
                let token = self.scan();
                self.peeked = Some(token);
                token
            }
        }
    }

    pub fn next(&mut self) -> Token {
        let token = self.peek();
        self.peeked = None;
        self.position = token.end;
        token
    }

    /// The character right behind the last token, blanks not skipped.
    pub fn adjacent(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    /// The part of a key behind a dot, the dot skipped. Unlike a token it may start with a digit.
    pub fn key_part(&mut self) -> Token {
        self.peeked = None;
        self.position += 1;
        match self.adjacent() {
            Some('\'' | '"' | '`') => self.next(),
            _ => self.take_while(is_word),
        }
    }

    /// A value without quotation marks, as searches of logged models accept it: `m-12/a.b`.
    pub fn bare_value(&mut self, start: usize) -> Token {
        self.position = start;
        let mut token = self.take_while(|c| is_word(c) || matches!(c, '-' | '.' | '/'));
        // A comment never hides in a value.
        if let Some(at) = self.slice(token).find("--") {
            token.end = start + at;
            self.position = token.end;
        }
        token
    }

    /// A quotation inside a list, where a backslash protects the next character, as in Python.
    /// `start` is where its opening mark stands.
    pub fn list_value(&mut self, start: usize) -> Token {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        let (kind, end) = loop {
            match bytes.get(at) {
                Some(&byte) if byte == bytes[start] => break (Kind::Quoted, at + 1),
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
                None => break (Kind::Unclosed, start + 1),
            }
        };
        self.peeked = None;
        self.position = end;
        Token { kind, start, end }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> Token {
        let start = self.position;
        let rest = &self.text[start..];
        let end = start + rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.peeked = None;
        self.position = end;
        Token { kind: Kind::Word, start, end }
    }

    fn scan(&mut self) -> Token {
        let rest = &self.text[self.position..];
        let start = self.position + rest.find(|c| !is_blank(c)).unwrap_or(rest.len());
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else {
            return Token { kind: Kind::End, start, end: start };
        };
        let (kind, length) = match first {
            '\'' | '"' | '`' => match quotation(rest.as_bytes()) {
                Some(length) if first == '`' => (Kind::Backticked, length),
                Some(length) => (Kind::Quoted, length),
                None => (Kind::Unclosed, 1),
            },
            '<' | '>' | '=' | '!' | '~' => {
                let other = |c| !matches!(c, '<' | '>' | '=' | '!' | '~');
                (Kind::Comparator, rest.find(other).unwrap_or(rest.len()))
            }
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            ';' => (Kind::Semicolon, 1),
            '#' => (Kind::Comment, 1),
            '-' if rest.starts_with("--") => (Kind::Comment, 2),
            '/' if rest.starts_with("/*") => (Kind::Comment, 2),
            _ => match number(rest.as_bytes()) {
                Some(length) if rest[length..].starts_with(is_word) => (Kind::Word, word(rest, length)),
                Some(length) => (Kind::Number, length),
                None if is_word(first) => (Kind::Word, word(rest, 0)),
                None if first == '.' => (Kind::Dot, 1),
                None => (Kind::Other, first.len_utf8()),
            },
        };
        Token { kind, start, end: start + length }
    }
}

pub(super) fn is_blank(c: char) -> bool {
    // Python counts the four separators too.
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str, from: usize) -> usize {
    from + text[from..].find(|c| !is_word(c)).unwrap_or(text.len() - from)
}

/// The length of the number at the start: `-1`, `.5`, `5.`, `1e-3`. A plus sign stands only behind
/// the `e`.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text[0] == b'-');
    let whole = digits(at);
    at += whole;
    let mut fraction = 0;
    if text.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        if whole + fraction > 0 {
            at += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = if at + 1 + sign < text.len() { digits(at + 1 + sign) } else { 0 };
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    Some(at)
}

/// The length of the quotation at the start, both marks included.
///
/// As in MLflow 3.17, a doubled mark and (not in backticks) one behind a backslash do not end the
/// quotation, and both characters stay part of the text. If no other mark follows up to the end of
/// the filter, a mark behind a backslash does end it: `'C:\dir\'` is a whole quotation.
fn quotation(text: &[u8]) -> Option<usize> {
    let mark = text[0];
    let mut backslash_end = None;
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        let next_is_mark = text.get(at + 1) == Some(&mark);
        match byte {
            _ if byte == mark && !next_is_mark => return Some(at + 1),
            _ if byte == mark => {
                backslash_end = None;
                at += 2;
            }
            b'\\' if next_is_mark && mark != b'`' => {
                backslash_end = Some(at + 2);
                at += 2;
            }
            _ => at += 1,
        }
    }
    backslash_end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next();
            if token.kind == Kind::End {
                return tokens;
            }
            tokens.push((token.kind, lexer.slice(token)));
        }
    }

    #[test]
    fn numbers_and_words() {
        use Kind::*;
        for number in ["1", "-1", ".5", "-.5", "5.", "1e3", "1E-3", "1e+16", "-1.5e10", "1.e5"] {
            assert_eq!(kinds(number), [(Number, number)]);
        }
        for word in ["1abc", "1_000", "0x1F", "1e", "1AND", "1.5abc", "_a", "метрика"] {
            assert_eq!(kinds(word), [(Word, word)]);
        }
        assert_eq!(kinds("1.5.2"), [(Number, "1.5"), (Number, ".2")]);
        assert_eq!(kinds("+1"), [(Other, "+"), (Number, "1")]);
        assert_eq!(kinds("- 1"), [(Other, "-"), (Number, "1")]);
        assert_eq!(kinds("1e+"), [(Word, "1e"), (Other, "+")]);
        assert_eq!(kinds("."), [(Dot, ".")]);
        assert_eq!(kinds("-"), [(Other, "-")]);
    }

    #[test]
    fn quotations_end_where_mlflow_ends_them() {
        use Kind::*;
        for whole in ["''", "'it''s'", r"'it\'s'", r"'C:\dir\'", "''''", "\"a\"\"b\"", "'a\nb'"] {
            assert_eq!(kinds(whole), [(Quoted, whole)]);
        }
        assert_eq!(kinds("`a``b`"), [(Backticked, "`a``b`")]);
        assert_eq!(kinds(r"`a\`"), [(Backticked, r"`a\`")]);
        assert_eq!(kinds("'a"), [(Unclosed, "'"), (Word, "a")]);
        assert_eq!(kinds("'a''"), [(Unclosed, "'"), (Word, "a"), (Quoted, "''")]);
        assert_eq!(kinds(r#"'a\' "b""#), [(Quoted, r"'a\'"), (Quoted, "\"b\"")]);
        assert_eq!(kinds(r"'a\' 'b'"), [(Quoted, r"'a\' '"), (Word, "b"), (Unclosed, "'")]);
    }

    #[test]
    fn comments_are_seen_and_numbers_below_zero_are_not_comments() {
        use Kind::*;
        assert_eq!(kinds("--"), [(Comment, "--")]);
        assert_eq!(kinds("/*"), [(Comment, "/*")]);
        assert_eq!(kinds("#"), [(Comment, "#")]);
        assert_eq!(kinds(">-1"), [(Comparator, ">"), (Number, "-1")]);
    }

    #[test]
    fn a_missing_mark_costs_one_pass() {
        let text = "\\'".repeat(500_000);
        let before = std::time::Instant::now();
        kinds(&text);
        assert!(before.elapsed().as_secs() < 5);
    }
}

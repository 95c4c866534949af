//! The lines of a `.dvcignore`, with the meaning that DVC 3.67 gives them.
//!
//! DVC turns each line into a regular expression (by the rules of the Python package `pathspec`) and asks whether a
//! path *begins* with a match. That differs from git in corners: `*/` and `**/` match nothing, `dir/**` matches `dir`
//! itself, `[^a]` and `[!a]` match a `/` too, a class knows no `[:alpha:]`, and of neighbouring lines of one kind the
//! first that matches is reported. What is ignored decides what a data folder's hash is, so the corners are kept.
//!
//! A line becomes a small program for a machine that keeps all its possible states at once: time is bounded by the
//! pattern's length times the path's, whatever is written in it. Plain names and `*.suffix` need no machine.

/// A line that has no meaning. DVC stops at such a line too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid git pattern: '{}': {reason}", String::from_utf8_lossy(pattern))]
pub struct PatternError {
    pub pattern: Vec<u8>,
    pub reason: &'static str,
}

/// One line that says something.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The line as it was given.
    pub source: Vec<u8>,
    /// False for a line that begins with `!`.
    pub ignore: bool,
    /// The line ends with `/`.
    pub dir_only: bool,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// Everything but an empty path and one that begins with a newline.
    Everything,
    Nothing,
    /// A name at any depth, without wildcards.
    Name(Vec<u8>, Machine),
    /// `*` and then no wildcards, at any depth.
    Suffix(Vec<u8>, Machine),
    Machine(Machine),
}

type Machine = Vec<Step>;

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Char(u32),
    /// Anything but a newline.
    Any,
    NotSlash,
    Class {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
    /// Go on here and there.
    Split(usize, usize),
    /// A `/` or the end of the path.
    Boundary,
}

impl Pattern {
    /// Reads one line; `None` for an empty one, a comment, or a line that git discards (a class that is not closed).
    pub fn parse(line: &[u8]) -> Result<Option<Pattern>, PatternError> {
        let invalid = |reason| PatternError { pattern: line.to_vec(), reason };
        let mut chars = decode(line);
        if !line.ends_with(b"\\ ") {
            while chars.last().is_some_and(|c| is_space(*c)) {
                chars.pop();
            }
        }
        if chars.is_empty() || chars[0] == u32::from('#') || chars == [u32::from('/')] {
            return Ok(None);
        }
        let ignore = chars[0] != u32::from('!');
        let text = if ignore { &chars[..] } else { &chars[1..] };
        let Some(matcher) = compile(text).map_err(invalid)? else { return Ok(None) };
        let dir_only = line.ends_with(b"/");
        Ok(Some(Pattern { source: line.to_vec(), ignore, dir_only, matcher }))
    }

    /// Whether `path` begins with a match. It is relative to the pattern's folder; a folder's ends with `/` in one of
    /// the two questions that are asked about it (see [`Patterns::decide`]).
    pub fn matches(&self, path: &[u8]) -> bool {
        let plain = !path.contains(&b'\n');
        match &self.matcher {
            Matcher::Everything => path.first().is_some_and(|byte| *byte != b'\n'),
            Matcher::Nothing => false,
            Matcher::Name(name, machine) if plain => any_name(path, machine, |found| found == name),
            Matcher::Suffix(suffix, machine) if plain => any_name(path, machine, |found| found.ends_with(suffix)),
            Matcher::Name(_, machine) | Matcher::Suffix(_, machine) | Matcher::Machine(machine) => {
                run(machine, &decode(path))
            }
        }
    }
}

/// What the machine would find for a pattern that is one plain name: one of the path's names, and for a folder's
/// pattern one with a `/` behind it.
fn any_name(path: &[u8], machine: &[Step], is_it: impl Fn(&[u8]) -> bool) -> bool {
    let dir_only = machine.last() != Some(&Step::Boundary);
    let mut names = path.split(|byte| *byte == b'/').peekable();
    while let Some(name) = names.next() {
        if is_it(name) && (!dir_only || names.peek().is_some()) {
            return true;
        }
    }
    false
}

/// Lines in their order.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    list: Vec<Pattern>,
    /// Neighbours of one kind; a line that begins with `!` is alone.
    groups: Vec<std::ops::Range<usize>>,
}

impl Patterns {
    pub fn new(list: Vec<Pattern>) -> Patterns {
        let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
        for (at, pattern) in list.iter().enumerate() {
            match groups.last_mut() {
                Some(group) if pattern.ignore && kind(&list[group.start]) == kind(pattern) => group.end = at + 1,
                _ => groups.push(at..at + 1),
            }
        }
        Patterns { list, groups }
    }

    pub fn list(&self) -> &[Pattern] {
        &self.list
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of the line that decides about `path`, and whether it ignores it. Parents are not looked at.
    pub fn decide(&self, path: &[u8], is_dir: bool) -> Option<(usize, bool)> {
        let mut as_dir = Vec::new();
        if is_dir && !path.ends_with(b"/") {
            as_dir.extend_from_slice(path);
            as_dir.push(b'/');
        }
        for group in self.groups.iter().rev() {
            let first = &self.list[group.start];
            if first.dir_only && !is_dir {
                continue;
            }
            for spelled in [path, as_dir.as_slice()].into_iter().take(if as_dir.is_empty() { 1 } else { 2 }) {
                if let Some(at) = group.clone().find(|at| self.list[*at].matches(spelled)) {
                    return Some((at, first.ignore));
                }
            }
        }
        None
    }
}

fn kind(pattern: &Pattern) -> (bool, bool) {
    (pattern.ignore, pattern.dir_only)
}

/// Code points; a byte that is no UTF-8 becomes one of its own, as Python's `surrogateescape` makes it.
fn decode(bytes: &[u8]) -> Vec<u32> {
    let mut chars = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chars.extend(chunk.valid().chars().map(u32::from));
        chars.extend(chunk.invalid().iter().map(|byte| 0xdc00 + u32::from(*byte)));
    }
    chars
}

/// What Python's `str.strip` takes off.
pub fn is_space(c: u32) -> bool {
    (0x1c..=0x1f).contains(&c) || char::from_u32(c).is_some_and(char::is_whitespace)
}

const SLASH: u32 = '/' as u32;
const STAR: u32 = '*' as u32;
const ESCAPE: u32 = '\\' as u32;

fn compile(text: &[u32]) -> Result<Option<Matcher>, &'static str> {
    let mut segments: Vec<&[u32]> = text.split(|c| *c == SLASH).collect();
    let dir_only = segments.last().is_some_and(|last| last.is_empty());
    const ANY_DEPTH: &[u32] = &[STAR, STAR];
    if segments[0].is_empty() {
        segments.remove(0);
    } else if (segments.len() == 1 || (segments.len() == 2 && segments[1].is_empty())) && segments[0] != ANY_DEPTH {
        segments.insert(0, ANY_DEPTH);
    }
    let Some(last) = segments.last_mut() else { return Err("nothing is left of it") };
    if last.is_empty() {
        *last = ANY_DEPTH;
    }
    segments.dedup_by(|a, b| *a == ANY_DEPTH && *b == ANY_DEPTH);
    const ONE: &[u32] = &[STAR];
    match segments[..] {
        // The expressions for these begin with a `/` or match any character.
        [ANY_DEPTH] | [ANY_DEPTH, ONE, ANY_DEPTH] if dir_only => return Ok(Some(Matcher::Nothing)),
        [ANY_DEPTH, ONE, ANY_DEPTH] => return Ok(Some(Matcher::Nothing)),
        [ANY_DEPTH] | [ANY_DEPTH, ONE] => return Ok(Some(Matcher::Everything)),
        _ => {}
    }

    let mut machine = Machine::new();
    let mut need_slash = false;
    let end = segments.len() - 1;
    for (i, segment) in segments.iter().enumerate() {
        let at = machine.len();
        if *segment != ANY_DEPTH {
            if need_slash {
                machine.push(Step::Char(SLASH));
            }
            if *segment == ONE {
                machine.extend([Step::NotSlash, Step::Split(machine.len(), machine.len() + 2)]);
            } else if !glob(segment, &mut machine)? {
                return Ok(None);
            }
            if i == end {
                machine.push(Step::Boundary);
            }
            need_slash = true;
        } else if i == 0 {
            machine.extend([Step::Split(at + 1, at + 4), Step::Any, Step::Split(at + 1, at + 3), Step::Char(SLASH)]);
        } else if i < end {
            machine.extend([Step::Split(at + 1, at + 4), Step::Char(SLASH), Step::Any, Step::Split(at + 2, at + 4)]);
            need_slash = true;
        } else {
            machine.push(Step::Char(SLASH));
        }
    }

    // Only now: a line that is void for another reason is void, whatever its ranges.
    let backwards = |step: &Step| matches!(step, Step::Class { ranges, .. } if ranges.iter().any(|(a, b)| b < a));
    if machine.iter().any(backwards) {
        return Err("a range in brackets is backwards");
    }

    // `**/name`, `**/name/**` and the same with `*` before the name.
    let simple = match segments[..] {
        [ANY_DEPTH, name] => Some(name),
        [ANY_DEPTH, name, ANY_DEPTH] if dir_only => Some(name),
        _ => None,
    };
    if let Some(name) = simple {
        let (star, rest) = match name {
            [STAR, rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let special = [STAR, ESCAPE, u32::from('?'), u32::from('[')];
        if !rest.iter().any(|c| special.contains(c)) {
            let literal = encode(rest);
            return Ok(Some(match star {
                true => Matcher::Suffix(literal, machine),
                false => Matcher::Name(literal, machine),
            }));
        }
    }
    Ok(Some(Matcher::Machine(machine)))
}

fn encode(chars: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in chars {
        match char::from_u32(*c) {
            Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => bytes.push((*c & 0xff) as u8),
        }
    }
    bytes
}

/// One name with wildcards; false when a class is not closed, which makes the whole line void.
fn glob(segment: &[u32], machine: &mut Machine) -> Result<bool, &'static str> {
    let mut i = 0;
    while i < segment.len() {
        let c = segment[i];
        i += 1;
        match char::from_u32(c) {
            Some('\\') => {
                let Some(escaped) = segment.get(i) else { return Err("a backslash at its end escapes nothing") };
                machine.push(Step::Char(*escaped));
                i += 1;
            }
            Some('*') => {
                let at = machine.len();
                machine.extend([Step::Split(at + 1, at + 3), Step::NotSlash, Step::Split(at + 1, at + 3)]);
            }
            Some('?') => machine.push(Step::NotSlash),
            Some('[') => {
                let negated = matches!(segment.get(i).copied().and_then(char::from_u32), Some('!' | '^'));
                let start = i + usize::from(negated);
                // A `]` at the beginning belongs to the class.
                let search = start + usize::from(segment.get(start) == Some(&u32::from(']')));
                let Some(length) = segment.get(search..).and_then(|s| s.iter().position(|c| *c == u32::from(']')))
                else {
                    return Ok(false);
                };
                machine.push(Step::Class { negated, ranges: ranges(&segment[start..search + length]) });
                i = search + length + 1;
            }
            _ => machine.push(Step::Char(c)),
        }
    }
    Ok(true)
}

/// The inside of a class; every character in it stands for itself, but `-` between two.
fn ranges(inside: &[u32]) -> Vec<(u32, u32)> {
    let mut ranges = Vec::new();
    let mut i = 0;
    while i < inside.len() {
        if inside.get(i + 1) == Some(&u32::from('-')) && i + 2 < inside.len() {
            ranges.push((inside[i], inside[i + 2]));
            i += 3;
        } else {
            ranges.push((inside[i], inside[i]));
            i += 1;
        }
    }
    ranges
}

/// Whether the machine reaches its end on some beginning of `text`.
fn run(machine: &[Step], text: &[u32]) -> bool {
    let mut now = States::new(machine.len());
    let mut next = States::new(machine.len());
    if now.add(machine, 0) {
        return true;
    }
    for (at, c) in text.iter().enumerate() {
        let last_newline = *c == u32::from('\n') && at + 1 == text.len();
        for state in std::mem::take(&mut now.list) {
            let taken = match &machine[state] {
                Step::Char(wanted) => c == wanted,
                Step::Any => *c != u32::from('\n'),
                Step::NotSlash => *c != SLASH,
                Step::Class { negated, ranges } => {
                    ranges.iter().any(|(low, high)| (low..=high).contains(&c)) != *negated
                }
                // Python's `$` is also before a newline that ends the text.
                Step::Boundary if last_newline => return true,
                Step::Boundary => *c == SLASH,
                Step::Split(..) => false,
            };
            if taken && next.add(machine, state + 1) {
                return true;
            }
        }
        if next.list.is_empty() {
            return false;
        }
        now.known.fill(false);
        std::mem::swap(&mut now, &mut next);
    }
    now.list.iter().any(|state| machine[*state] == Step::Boundary)
}

struct States {
    list: Vec<usize>,
    known: Vec<bool>,
    /// States still to follow: a stack, so that a long pattern does not recurse.
    open: Vec<usize>,
}

impl States {
    fn new(size: usize) -> States {
        States { list: Vec::new(), known: vec![false; size], open: Vec::new() }
    }

    /// Adds a state and all that splits lead to; true when the machine's end is among them.
    fn add(&mut self, machine: &[Step], state: usize) -> bool {
        self.open.push(state);
        while let Some(state) = self.open.pop() {
            if state == machine.len() {
                return true;
            }
            if std::mem::replace(&mut self.known[state], true) {
                continue;
            }
            match machine[state] {
                Step::Split(one, other) => self.open.extend([one, other]),
                _ => self.list.push(state),
            }
        }
        false
    }
}

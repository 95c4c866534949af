//! Whose a Kerberos ticket is. Hadoop's client takes a ticket cache without being told, so we look into it.

use std::path::Path;

/// The default principal of a ticket cache: `alice@EXAMPLE.COM`. The format is MIT's, versions 3 and 4, which are
/// big-endian and what everybody writes.
pub(super) fn principal(path: &Path) -> Result<String, String> {
    let unreadable = |reason: &str| format!("the Kerberos ticket '{}' cannot be read: {reason}", path.display());
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error.to_string()))?;
    parse(&bytes).ok_or_else(|| unreadable("it is not a ticket cache of MIT's format"))
}

fn parse(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    match take(&mut rest, 2)? {
        [5, 3] => {}
        [5, 4] => {
            let header = u16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
            take(&mut rest, usize::from(header))?;
        }
        _ => return None,
    }
    let _kind = number(&mut rest)?;
    let names = number(&mut rest)?;
    if !(1..=16).contains(&names) {
        return None;
    }
    let realm = text(&mut rest)?;
    let names: Option<Vec<_>> = (0..names).map(|_| text(&mut rest)).collect();
    Some(format!("{}@{realm}", names?.join("/")))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(take(rest, 4)?.try_into().ok()?))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(number(rest)?).ok()?;
    std::str::from_utf8(take(rest, length)?).ok().filter(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_says_whose_it_is() {
        let mut cache = vec![5, 4, 0, 2, 9, 9, 0, 0, 0, 1, 0, 0, 0, 2];
        for text in ["EXAMPLE.COM", "alice", "admin"] {
            cache.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            cache.extend(text.as_bytes());
        }
        assert_eq!(parse(&cache).as_deref(), Some("alice/admin@EXAMPLE.COM"));
        for end in 0..cache.len() {
            assert_eq!(parse(&cache[..end]), None, "{end}");
        }
    }
}

//! MD5, against a second implementation, and DVC 2's variant against figures recorded from DVC.

use md5::{Digest, Md5};
use proptest::prelude::*;
use trackway_store::{HashName, Hasher, NoProgress, hash_bytes, hash_file};

proptest! {
    #[test]
    fn is_md5_however_it_is_cut(bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in prop::collection::vec(1..90usize, 0..20)) {
        let mut hasher = Hasher::new(HashName::Md5);
        let mut rest = &bytes[..];
        for cut in cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            hasher.update(part);
            rest = after;
        }
        hasher.update(rest);
        prop_assert_eq!(hasher.finish().to_vec(), Md5::digest(&bytes).to_vec());
    }
}

#[test]
fn large_files_are_hashed_alike() {
    let dir = tempfile::tempdir().unwrap();
    for size in [0, 1, (4 << 20) - 1, 4 << 20, (9 << 20) + 77] {
        let bytes: Vec<u8> = (0..size).map(|at: usize| (at * 7 + at / 255) as u8).collect();
        let path = dir.path().join("f");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(hash_file(HashName::Md5, &path, &NoProgress).unwrap().bytes()[..], Md5::digest(&bytes)[..]);
        let dos2unix = hash_file(HashName::Md5Dos2Unix, &path, &NoProgress).unwrap();
        assert_eq!(dos2unix, hash_bytes(HashName::Md5Dos2Unix, &bytes));
    }
}

#[test]
fn dos2unix_is_that_of_dvc_2() {
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"a\r\nb\r\n".to_vec(), "dd8c6a395b5dd36c56d23275028f526c"),
        (b"\0a\r\nb\r\n".to_vec(), "1336478d095a693e514198c06812ee2f"),
        (b"a\r\n".repeat(400_000), "ac2752cd2cf2e02c662392879f03bb79"),
        ([b"x".repeat((1 << 20) - 1), b"\r\n".to_vec()].concat().repeat(2), "0df0000f988e4440993ebf842c26c6d7"),
        ([b"\r\n".repeat(256), b"\0\r\n".repeat(10)].concat(), "567ca85873fa94cfc6a0423241b0295e"),
        ([b"\xff".repeat(153), b"a".repeat(359), b"\r\n".to_vec()].concat(), "94a8b435762b7db70f760a2c5761cf01"),
        ([b"\xff".repeat(154), b"a".repeat(358), b"\r\n".to_vec()].concat(), "4ae554d2a363a69fb179872716f2b209"),
        (Vec::new(), "d41d8cd98f00b204e9800998ecf8427e"),
        (b"\r\r\n\r".to_vec(), "f343745fdbaf7542a98677a2e74b07b0"),
        (
            [b"a".repeat(1 << 20), b"\0\r\n".to_vec(), b"b".repeat(1 << 20), b"\r\n".to_vec()].concat(),
            "94634ca34b9938c03912fdd4c5905269",
        ),
    ];
    for (number, (bytes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(hash_bytes(HashName::Md5Dos2Unix, &bytes).to_string(), expected, "case {number}");
    }
}

//! The few signed requests that tests need before a client of the product's own exists: Amazon's
//! signature, version 4, and Azure's shared key.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::Result;

const BLOCK: usize = 64;

/// The headers of an empty PUT to `path` at `host`.
pub fn s3_put(host: &str, path: &str, region: &str, key: &str, secret: &str) -> Vec<(&'static str, String)> {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/{region}/s3/aws4_request", &now[..8]);
    let empty = hex(&Sha256::digest(b""));
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let request =
        format!("PUT\n{path}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{now}\n\n{signed}\n{empty}");
    let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let mut signer = hmac(format!("AWS4{secret}").as_bytes(), &now.as_bytes()[..8]);
    for part in [region, "s3", "aws4_request"] {
        signer = hmac(&signer, part.as_bytes());
    }
    let signature = hex(&hmac(&signer, text.as_bytes()));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={signed},Signature={signature}");
    vec![("authorization", authorization), ("x-amz-content-sha256", empty), ("x-amz-date", now)]
}

/// The headers of an empty PUT that makes a container of the emulator's `account`.
pub fn azure_create(account: &str, key: &str, container: &str) -> Result<Vec<(&'static str, String)>> {
    let now = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let version = "2021-12-02";
    // The emulator's URLs begin with the account, so its name stands here twice.
    let text = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{now}\nx-ms-version:{version}\n/{account}/{account}/{container}\nrestype:container"
    );
    let signature = BASE64_STANDARD.encode(hmac(&BASE64_STANDARD.decode(key)?, text.as_bytes()));
    let authorization = format!("SharedKey {account}:{signature}");
    Ok(vec![("authorization", authorization), ("x-ms-date", now), ("x-ms-version", version.to_owned())])
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{hex, hmac};

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac(b"Jefe", b"what do ya want for nothing?")), expected);
        let long = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hex(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")), long);
    }
}

//! What WebHDFS answers: JSON, and exceptions of Java in JSON.

use serde::Deserialize;

use crate::fault::{Fault, Said};
use crate::files::Meta;
use crate::hdfs::{said, time};
use crate::http::Answer;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileStatus {
    /// Of a listing: the name. Empty where a file is listed as itself.
    #[serde(default)]
    pub path_suffix: String,
    length: u64,
    modification_time: u64,
    #[serde(rename = "type")]
    kind: Kind,
    /// HttpFS does not tell it.
    #[serde(default)]
    file_id: u64,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    File,
    Directory,
    Symlink,
}

impl FileStatus {
    pub fn meta(&self) -> Meta {
        let is_dir = self.kind == Kind::Directory;
        let etag = format!("{:x}-{:x}-{:x}", self.file_id, self.modification_time, self.length);
        Meta {
            size: if is_dir { 0 } else { self.length },
            is_dir,
            modified: Some(time(self.modification_time)),
            etag: (!is_dir && self.file_id != 0).then_some(etag),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Status {
    #[serde(rename = "FileStatus")]
    pub status: FileStatus,
}

#[derive(Deserialize)]
pub(super) struct Listing {
    #[serde(rename = "FileStatuses")]
    pub statuses: Statuses,
}

#[derive(Deserialize)]
pub(super) struct Statuses {
    #[serde(rename = "FileStatus")]
    pub all: Vec<FileStatus>,
}

/// Of operations that say whether they did something.
#[derive(Deserialize)]
pub(super) struct Done {
    pub boolean: bool,
}

#[derive(Deserialize)]
pub(super) struct Checksum {
    #[serde(rename = "FileChecksum")]
    pub checksum: FileChecksum,
}

#[derive(Deserialize)]
pub(super) struct FileChecksum {
    pub bytes: String,
}

#[derive(Deserialize)]
struct Wrong {
    #[serde(rename = "RemoteException")]
    exception: RemoteException,
}

#[derive(Deserialize)]
struct RemoteException {
    exception: String,
    #[serde(default)]
    message: String,
}

/// The answer, if it is no error.
pub(super) async fn good(answer: Answer) -> Result<Answer, Fault> {
    if answer.status.is_success() || answer.status.is_redirection() {
        return Ok(answer);
    }
    let status = answer.status.as_u16();
    let negotiates = answer.header("www-authenticate").is_some_and(|how| how.starts_with("Negotiate"));
    let text = answer.text().await?;
    Err(match serde_json::from_str::<Wrong>(&text) {
        Ok(Wrong { exception }) => match said::exception(&exception.exception, &exception.message) {
            // What the server itself could not do, another time it may.
            Fault::Other(told) if status >= 500 => Fault::Unreachable(told),
            fault => fault,
        },
        Err(_) if negotiates => {
            Fault::Refused("it asks for Kerberos, which cannot be used over HTTP: give a delegation token".to_owned())
        }
        // A page of a web server or a gateway.
        Err(_) => match status {
            404 => Fault::Other("there is no WebHDFS at this address (status 404)".to_owned()),
            _ => Said { status, ..Said::default() }.fault(),
        },
    })
}

pub(super) async fn json<T: for<'a> Deserialize<'a>>(answer: Answer, longest: usize) -> Result<T, Fault> {
    let bytes = answer.bytes(longest).await?;
    serde_json::from_slice(&bytes).map_err(|_| Fault::Other("its answer is not WebHDFS's".to_owned()))
}

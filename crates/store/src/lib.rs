//! Content-addressed objects: hashing, cache, links, `.dir` trees, the state of the work tree.
//!
//! - [`Oid`] names an object; [`Tree`] is a `.dir` object, byte for byte as DVC writes it (`tree.rs`).
//! - [`Cache`] is a folder of objects (`cache.rs`) with a record of those known to be right (`verified.rs`): an object
//!   is hashed before its first link and whenever it looks different from the record.
//!   [`Cache::holds`] and [`Cache::missing`] ask for many objects at once (`presence.rs`).
//! - [`scan`](fn@scan) hashes what lies in the work tree, as little of it as [`State`] allows; [`scan_into`] puts it
//!   into the cache in the same pass, [`save`] afterwards.
//! - [`plan`] compares what is there with what should be there, [`Plan::apply`] makes it so, beneath an open directory.
//! - Objects that nothing needs are listed and deleted (`collect.rs`) or moved to the [trash](Batch), from which a miss takes
//!   them back; `register.rs` knows the projects of a cache, `writers.rs` keeps collections and writers apart.
//! - [`transfer`] copies objects between the cache and a [`Depot`]: a remote, which is a folder (`folder.rs`) or anything that
//!   `trackway_remote` reaches (`distant/`, with as many transfers at once as `pace.rs` finds good).
//! - [`Progress`] hears how far long work is.
//!
//! Nothing here knows YAML, git or a command line.

mod adopt;
mod cache;
mod checkout;
mod collect;
mod distant;
mod error;
mod folder;
mod hash;
mod link;
mod oid;
mod pace;
mod partial;
mod presence;
mod progress;
mod register;
mod save;
mod scan;
mod state;
pub mod transfer;
mod trash;
mod tree;
mod verified;
mod writers;

pub use cache::{Cache, CacheOptions, Incoming, IncomingAny, Layout, Object, Objects};
pub use checkout::{Change, ChangeKind, CheckoutOptions, Failure, Outcome, Plan, Target, plan};
pub use collect::{Folder, Stored, Used, delete_folders, inventory, list_folders};
pub use distant::{Distant, Named};
pub use error::{Error, Result};
pub use hash::{Hasher, hash_bytes, hash_file, is_text};
pub use link::{LinkType, unprotect};
pub use oid::{Hash, HashName, Hex, Oid};
pub use progress::{NoProgress, Progress};
pub use save::{SaveOptions, save, scan_into, scan_part_into};
pub use scan::{Content, DirContent, FileContent, Filter, ScanOptions, scan};
pub use state::State;
pub use transfer::{Cargo, Depot, Transferred};
pub use trash::Batch;
pub use tree::{Difference, Entry, Pairs, Replacement, Tree};
pub use writers::{WritersLock, writers_lock_path};

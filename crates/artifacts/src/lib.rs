//! MLflow's artifacts over a [`trackway_remote::Remote`].
//!
//! The layout is MLflow's, so that a user can go back to it: below the destination lie
//! `{experiment_id}/{run_id}/artifacts/…` and `{experiment_id}/models/{model_id}/artifacts/…`.
//!
//! - [`ArtifactPath`] (`path.rs`) is what a client may call an artifact, judged as MLflow 3.17 judges it.
//! - [`ArtifactStore`] (`store.rs`) knows the places this server serves: the proxied destination, the
//!   default artifact root and what else the operator named: folders, places in buckets and on servers (`place.rs`).
//!   [`ArtifactStore::resolve`] turns a run's or model's artifact URI (`mlflow-artifacts:/…`, a local path,
//!   `file:`, `s3:`, `sftp:`, …) into a [`Location`] in one of them and refuses the rest: no URI makes the server
//!   open a connection or a file elsewhere.
//! - [`PurgePlaces`] (`purge.rs`) finds what is to be deleted for good, for an operator's command.
//! - [`Location`] (`location.rs`) lists, opens, stores and deletes artifacts below it.

mod error;
mod location;
mod path;
mod place;
mod purge;
mod store;

pub use error::{Error, Result};
pub use location::{Artifact, Location};
pub use path::ArtifactPath;
pub use place::without_password;
pub use purge::{Measured, OwnArtifacts, Owner, PurgePlaces};
pub use store::{ArtifactStore, Places};
pub use trackway_remote::{ByteStream, Capabilities, Environment, Multipart, Object, Options, Part, SignedUrl, Stat};

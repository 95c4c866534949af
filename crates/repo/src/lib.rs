//! A DVC repository: the work tree, its outputs, and the commands on them.
//!
//! - [`Repo`] is a repository that was found: its places, its configuration, its caches, its git.
//! - [`Index`] is all that is tracked at one revision: [`Stage`]s with their [`Output`]s, read from `.dvc`, `dvc.yaml` and
//!   `dvc.lock`; targets are understood here (`target.rs`, `graph.rs`).
//! - A file a command: `add.rs`, `checkout.rs`, `status.rs`, …, each a method of [`Repo`] that returns what it did. Nothing
//!   here prints, and nothing reads the environment but what [`config::Environment`] holds.
//! - What commands share: `files.rs` reads the work tree or a commit alike, `worktree.rs` and `snapshot.rs` look at outputs,
//!   `used.rs` and `reach.rs` say which objects are needed, `dvc_file.rs` writes stages back.
//! - `gc.rs` is stock's collection; `tidy.rs` (trash, budget), `fsck.rs` and `cache_status.rs` are ours.
//! - `config/` has DVC's configuration and our own settings; `ignore.rs` is `.dvcignore`, `gitignore.rs` the upkeep of
//!   `.gitignore`, `scm.rs` what is left for git to commit.
//! - `lock.rs` and `rwlock.rs` are stock DVC's locks, `links.rs` its table of what checkouts made.

pub mod add;
pub mod add_elsewhere;
mod bring;
pub mod browse;
pub mod cache_status;
pub mod checkout;
pub mod cloud_status;
pub mod commit;
pub mod config;
pub mod data_status;
pub mod destroy;
pub mod diff;
pub mod differences;
pub mod du;
mod dvc_file;
mod error;
pub mod fetch;
mod fetch_imports;
pub mod files;
pub mod freeze;
pub mod fsck;
pub mod gc;
pub mod get;
pub mod get_url;
pub mod gitignore;
pub mod graph;
pub mod ignore;
pub mod import;
pub mod import_url;
mod imports;
pub mod index;
pub mod init;
pub mod install;
pub mod links;
pub mod list;
pub mod list_url;
pub mod lock;
pub mod merge_driver;
pub mod migrate;
pub mod move_;
pub mod output;
mod outside;
pub mod paths;
mod patterns;
mod pre_commit;
pub mod pull;
pub mod push;
pub mod reach;
pub mod remotes;
pub mod remove;
mod repo;
pub mod revisions;
mod run_cache;
pub mod rwlock;
pub mod scm;
pub mod site_cache;
pub mod snapshot;
pub mod stage;
pub mod status;
mod syntax;
pub mod target;
pub mod tidy;
pub mod unprotect;
pub mod update;
mod update_worktree;
pub mod used;
pub(crate) mod versions;
pub mod worktree;
pub mod write;

pub use error::{Error, Result};
pub use import_url::is_secret_option;
pub use index::Index;
pub use output::Output;
pub use repo::{Repo, find_root};
pub use stage::Stage;
pub use trackway_git::clones::without_password as shown_url;

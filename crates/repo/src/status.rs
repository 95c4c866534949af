//! `status`: what differs between the work tree and what is recorded.

use rayon::prelude::*;
use trackway_dvcfile::params::{self, ParamChange};
use trackway_store::Progress;

use crate::error::Result;
use crate::imports;
use crate::index::{Follow, Selected};
use crate::output::{Dependency, ParamsDependency};
use crate::repo::Repo;
use crate::worktree::WorkTree;

/// The stages that are not as they were recorded, by their address, in DVC's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub stages: Vec<(String, Vec<Change>)>,
    /// The repository tracks nothing at all.
    pub nothing_tracked: bool,
}

/// One thing about a stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Deps(Vec<(String, State)>),
    Outs(Vec<(String, State)>),
    AlwaysChanged,
    Command,
    /// The `.dvc` file of an import was changed by hand.
    Checksum,
}

/// What is the matter with an output or a dependency.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// `deleted`, `modified`, `new`, `not in cache`, `update available`.
    Is(&'static str),
    /// Of a parameters file: what became of each parameter.
    Params(Vec<(String, &'static str)>),
}

#[derive(Clone, Copy, Debug, Default)]
pub struct StatusOptions {
    pub follow: Follow,
    /// Ask whether imports could be updated.
    pub check_updates: bool,
}

impl Repo {
    /// What changed in the work tree, of the given targets or of all.
    pub fn status(&self, targets: &[String], options: StatusOptions, progress: &dyn Progress) -> Result<Status> {
        let index = self.index()?;
        let selected = index.select_all(targets, options.follow)?;
        for Selected { stage, .. } in &selected {
            if stage.frozen && !stage.is_repo_import() && !self.is_versioned_import(stage) {
                self.warn(format!(
                    "{} is frozen. Its dependencies are not going to be shown in the status output.",
                    stage.display(self)
                ));
            }
        }
        let tree = self.work_tree(progress)?;
        // Stages are looked at beside each other; large outputs spread further by themselves.
        let found: Vec<Result<Vec<Change>>> =
            selected.par_iter().map(|selected| stage_status(&tree, selected, options.check_updates)).collect();
        let mut status = Status::default();
        for (selected, changes) in selected.iter().zip(found) {
            let changes = changes?;
            if changes.is_empty() {
                continue;
            }
            let address = selected.stage.address(self);
            match status.stages.iter_mut().find(|(other, _)| *other == address) {
                Some((_, old)) => *old = changes,
                None => status.stages.push((address, changes)),
            }
        }
        if status.stages.is_empty() {
            status.nothing_tracked = index.stages()?.is_empty();
        }
        Ok(status)
    }
}

fn stage_status(tree: &WorkTree<'_>, selected: &Selected, check_updates: bool) -> Result<Vec<Change>> {
    let stage = &selected.stage;
    let mut changes = Vec::new();
    let shows_import = check_updates && (stage.is_repo_import() || tree.repo.is_versioned_import(stage));
    if !stage.frozen || shows_import {
        let mut deps = Vec::new();
        for dep in &stage.deps {
            let found = match dep {
                Dependency::Url { .. } if stage.is_import() => {
                    let change = tree.repo.url_change(stage, tree.progress)?;
                    change.map(|state| (dep.display(tree.repo), State::Is(state)))
                }
                _ => dependency_status(tree, dep)?,
            };
            deps.extend(found);
        }
        if !deps.is_empty() {
            changes.push(Change::Deps(deps));
        }
    }
    let mut outs = Vec::new();
    for out in stage.outs_at(selected.filter.as_deref()) {
        outs.extend(tree.status(out)?.map(|state| (out.display(tree.repo), State::Is(state))));
    }
    if !outs.is_empty() {
        changes.push(Change::Outs(outs));
    }
    if stage.is_callback() || stage.always_changed {
        changes.push(Change::AlwaysChanged);
    }
    if stage.cmd_changed() {
        changes.push(Change::Command);
    }
    if stage.checksum_changed() {
        changes.push(Change::Checksum);
    }
    Ok(changes)
}

/// The state of a dependency that is not as recorded.
pub(crate) fn dependency_status(tree: &WorkTree<'_>, dep: &Dependency) -> Result<Option<(String, State)>> {
    let state = match dep {
        Dependency::Data(out) => tree.change(out)?.map(State::Is),
        Dependency::Params(params) => params_status(tree.repo, params)?,
        Dependency::Repo { dep, .. } => {
            imports::update_available(tree.repo, dep)?.then_some(State::Is("update available"))
        }
        Dependency::Url { output, .. } => tree.repo.url_output_change(output, tree.progress)?.map(State::Is),
        // A database's state cannot be asked from here; a data set's is its entry in dvc.yaml.
        Dependency::Db(_) | Dependency::Dataset(_) => None,
    };
    Ok(state.map(|state| (dep.display(tree.repo), state)))
}

fn params_status(repo: &Repo, dep: &ParamsDependency) -> Result<Option<State>> {
    if !dep.path.exists() {
        return Ok(Some(State::Is("deleted")));
    }
    let Some(locked) = &dep.locked else {
        return Ok(Some(State::Is("new")));
    };
    let actual = dep.read(repo)?.unwrap_or_default();
    let changes: Vec<_> = params::changes(&dep.params, &actual, locked)
        .into_iter()
        .map(|(name, change)| {
            let word = match change {
                ParamChange::New => "new",
                ParamChange::Modified => "modified",
                ParamChange::Deleted => "deleted",
            };
            (name, word)
        })
        .collect();
    Ok((!changes.is_empty()).then_some(State::Params(changes)))
}

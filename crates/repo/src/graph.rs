//! Which stage needs which, and what may not be: two outputs of one path, an output inside of another, a cycle.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, OverlappingOutput, Result};
use crate::repo::Repo;
use crate::stage::Stage;

/// The outputs of all stages by path, none inside of another.
pub struct OutputTrie {
    /// By path, as its components sort: what lies below a path follows it.
    by_path: BTreeMap<PathBuf, Place>,
}

/// An output: the stage's number, and the output's in it.
pub type Place = (usize, usize);

impl OutputTrie {
    pub fn build(repo: &Repo, stages: &[Arc<Stage>]) -> Result<OutputTrie> {
        let mut by_path: BTreeMap<PathBuf, Place> = BTreeMap::new();
        for (number, stage) in stages.iter().enumerate() {
            for (at, out) in stage.outs.iter().enumerate() {
                let key = &out.path;
                if let Some(&(other, _)) = by_path.get(key) {
                    return Err(Error::DuplicateOutput {
                        output: out.display(repo),
                        stages: stage_addresses(repo, stages, &[number, other]),
                    });
                }
                // As DVC 3.67: what lies below is looked for first, and the first that was found is named.
                let below = below(&by_path, key).min();
                let above = key.ancestors().skip(1).filter_map(|above| by_path.get(above)).last();
                let pair = match (below, above) {
                    (Some(&child), _) => Some(((number, at), child)),
                    (None, Some(&parent)) => Some((parent, (number, at))),
                    (None, None) => None,
                };
                if let Some((parent, child)) = pair {
                    return Err(overlap(repo, stages, parent, child));
                }
                by_path.insert(key.clone(), (number, at));
            }
        }
        Ok(OutputTrie { by_path })
    }

    /// The output that is `path`, or that `path` lies in.
    pub fn containing(&self, path: &Path) -> Option<Place> {
        path.ancestors().find_map(|above| self.by_path.get(above)).copied()
    }

    /// The outputs that are `path`, contain it, or lie in it.
    pub fn overlapping(&self, path: &Path) -> Vec<Place> {
        let mut found: Vec<Place> = self.containing(path).into_iter().collect();
        found.extend(below(&self.by_path, path).filter(|place| !found.contains(place)).copied().collect::<Vec<_>>());
        found
    }

    /// All outputs, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, Place)> {
        self.by_path.iter().map(|(path, place)| (path.as_path(), *place))
    }
}

fn below<'a>(by_path: &'a BTreeMap<PathBuf, Place>, path: &'a Path) -> impl Iterator<Item = &'a Place> {
    by_path.range(path.to_owned()..).take_while(move |(p, _)| p.starts_with(path)).map(|(_, place)| place)
}

fn stage_addresses(repo: &Repo, stages: &[Arc<Stage>], numbers: &[usize]) -> Vec<String> {
    let mut names: Vec<String> = numbers.iter().map(|&number| stages[number].address(repo)).collect();
    names.dedup();
    names
}

fn overlap(repo: &Repo, stages: &[Arc<Stage>], parent: Place, child: Place) -> Error {
    let side = |(stage, out): Place| OverlappingOutput {
        output: stages[stage].outs[out].display(repo),
        path: stages[stage].outs[out].path.clone(),
        stage: stages[stage].address(repo),
    };
    let (parent, child) = (side(parent), side(child));
    let message = format!(
        "The output paths:\n'{}'('{}')\n'{}'('{}')\noverlap and are thus in the same tracked directory.\nTo keep reproducibility, outputs should be in separate tracked directories or tracked individually.",
        parent.output, parent.stage, child.output, child.stage
    );
    Error::Overlap { parent: Box::new(parent), child: Box::new(child), message }
}

/// The stages and the edges from each to those whose outputs it needs.
pub struct Graph {
    edges: Vec<Vec<usize>>,
}

impl Graph {
    pub fn build(repo: &Repo, stages: &[Arc<Stage>], outs: &OutputTrie) -> Result<Graph> {
        for stage in stages {
            if let Some((other, out)) = outs.containing(&stage.path) {
                return Err(Error::dvc(format!(
                    "{} is within an output '{}' of another stage",
                    stage.display(repo),
                    stages[other].outs[out].display(repo)
                )));
            }
        }
        let mut edges = vec![Vec::new(); stages.len()];
        for (number, stage) in stages.iter().enumerate() {
            if stage.is_repo_import() || stage.is_db_import() {
                continue;
            }
            for path in stage.dependency_paths() {
                for (other, _) in outs.overlapping(path) {
                    if !edges[number].contains(&other) {
                        edges[number].push(other);
                    }
                }
            }
        }
        let graph = Graph { edges };
        if let Some(cycle) = graph.cycle() {
            let names: Vec<_> = cycle.iter().map(|&number| stages[number].address(repo)).collect();
            return Err(Error::dvc(format!(
                "Same item(s) are defined as both a dependency and an output in {}: {}.",
                if names.len() == 1 { "stage" } else { "stages" },
                names.join(", ")
            )));
        }
        Ok(graph)
    }

    /// What `from` needs, each after what it needs itself, `from` last.
    pub fn with_needs(&self, from: usize) -> Vec<usize> {
        let mut seen = HashSet::new();
        self.postorder(from, &mut seen)
    }

    /// All stages, each after what it needs.
    pub fn in_order(&self) -> Vec<usize> {
        let mut seen = HashSet::new();
        (0..self.edges.len()).flat_map(|from| self.postorder(from, &mut seen)).collect()
    }

    /// Without recursion: a chain of stages may be long.
    fn postorder(&self, from: usize, seen: &mut HashSet<usize>) -> Vec<usize> {
        let mut done = Vec::new();
        if !seen.insert(from) {
            return done;
        }
        let mut way = vec![(from, 0)];
        while let Some((node, next)) = way.last_mut() {
            match self.edges[*node].get(*next) {
                Some(&child) => {
                    *next += 1;
                    if seen.insert(child) {
                        way.push((child, 0));
                    }
                }
                None => {
                    done.push(*node);
                    way.pop();
                }
            }
        }
        done
    }

    fn cycle(&self) -> Option<Vec<usize>> {
        let mut finished = vec![false; self.edges.len()];
        for from in 0..self.edges.len() {
            let mut way: Vec<(usize, usize)> = vec![(from, 0)];
            let mut on_way: HashSet<usize> = HashSet::from([from]);
            if finished[from] {
                continue;
            }
            while let Some((node, next)) = way.last_mut() {
                match self.edges[*node].get(*next) {
                    Some(&child) => {
                        *next += 1;
                        if on_way.contains(&child) {
                            let start = way.iter().position(|(node, _)| *node == child).unwrap_or(0);
                            return Some(way[start..].iter().map(|(node, _)| *node).collect());
                        }
                        if !finished[child] {
                            on_way.insert(child);
                            way.push((child, 0));
                        }
                    }
                    None => {
                        finished[*node] = true;
                        on_way.remove(node);
                        way.pop();
                    }
                }
            }
        }
        None
    }
}

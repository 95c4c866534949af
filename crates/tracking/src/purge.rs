//! Purging: what was deleted goes for good.
//!
//! A purge begins a thing (its lifecycle becomes [`PURGING`]): from then on nothing restores it, shows it in a search or
//! writes to it, and it may be taken apart. The caller deletes its artifacts, and only then [`Store::finish_purge`] takes
//! the rows, the thing's own row last. A purge that is killed anywhere leaves things that are begun; the next one finds
//! them ([`Deleted::begun`]) and goes on.
//!
//! Rows go in slices, each a short transaction with a pause behind it, so that servers beside it write on. Any number of
//! purges may run at once.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::Store;
use crate::db::{Conn, Dialect, Row, Tx, Weight, params};
use crate::error::Result;
use crate::model_versions::DELETED as DELETED_VERSION;
use crate::rank;
use crate::runs::Active;

/// The lifecycle of what is being purged: beyond 0 (active) and 1 (deleted), and in no search.
pub(crate) const PURGING: i64 = 2;

/// Rows that one transaction deletes at most, a packed chunk of metric points counting as many.
const SLICE: usize = 4000;
const CHUNK_COUNTS: usize = 20;
/// Things that one transaction looks at.
const AT_ONCE: usize = 100;

/// The kinds of things that are deleted first and purged later. Registered models and their versions are gone when they
/// are deleted, and own no artifacts: their files belong to a run or to a logged model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purgeable {
    Run,
    LoggedModel,
    Experiment,
}

/// Something that is deleted, as a purge sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deleted {
    pub kind: Purgeable,
    pub id: String,
    pub experiment_id: i64,
    /// Of an experiment: where those of its runs lie.
    pub artifact_uri: String,
    /// Milliseconds since the epoch.
    pub deleted_time: i64,
    /// An earlier purge began it and did not come to its end.
    pub begun: bool,
}

/// What a purge may take.
#[derive(Debug, Clone, Copy)]
pub struct PurgeRules {
    /// Only what was deleted then or before, in milliseconds since the epoch.
    pub deleted_before: i64,
    /// Leave runs and logged models whose files a registered model version uses.
    pub keep_registered: bool,
}

/// What became of a thing that was to be begun.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It is ours to take apart.
    Yes(Deleted),
    /// Somebody restored it, or another purge took it.
    Gone,
    /// It stays, for this reason: a sentence that follows its name.
    Kept(String),
}

/// What a deleted thing takes in the database, roughly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weighed {
    pub bytes: u64,
}

impl Store {
    /// What may be purged, in pages: at most `limit` after `after`, which is the last page's cursor.
    pub async fn list_deleted(
        &self,
        kind: Purgeable,
        deleted_before: i64,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Deleted>, Option<String>)> {
        self.db
            .read(Weight::Heavy, move |db| {
                let mut last = None;
                let number = || after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(i64::MIN);
                let read = |row: &Row| {
                    last = Some(match kind {
                        Purgeable::Run | Purgeable::Experiment => row.get::<i64>(5)?.to_string(),
                        Purgeable::LoggedModel => row.get(5)?,
                    });
                    deleted(kind, row)
                };
                let found = match kind {
                    // By the row's number, so that the table is read once however many pages there are.
                    Purgeable::Run => db.rows(
                        "SELECT uuid, experiment, artifact_uri, deleted_time, lifecycle, id FROM run
                         WHERE id > ?1 AND (lifecycle = 2 OR lifecycle = 1 AND deleted_time <= ?2) ORDER BY run.id LIMIT ?3",
                        params![number(), deleted_before, limit],
                        read,
                    ),
                    Purgeable::Experiment => db.rows(
                        "SELECT CAST(id AS TEXT), id, artifact_location, last_update_time, lifecycle, id FROM experiment
                         WHERE id > ?1 AND (lifecycle = 2 OR lifecycle = 1 AND last_update_time <= ?2) ORDER BY experiment.id LIMIT ?3",
                        params![number(), deleted_before, limit],
                        read,
                    ),
                    Purgeable::LoggedModel => db.rows(
                        "SELECT id, experiment, artifact_uri, last_update_time, lifecycle, id FROM logged_model
                         WHERE id > ?1 AND (lifecycle = 2 OR lifecycle = 1 AND last_update_time <= ?2) ORDER BY logged_model.id LIMIT ?3",
                        params![after.unwrap_or_default(), deleted_before, limit],
                        read,
                    ),
                }?;
                let cursor = last.filter(|_| found.len() == limit);
                Ok((found, cursor))
            })
            .await
    }

    /// One thing that may be purged; `None` when there is none of that id, or when it is active.
    pub async fn get_deleted(&self, kind: Purgeable, id: String) -> Result<Option<Deleted>> {
        self.db.read(Weight::Light, move |db| find(db, kind, &id, 1)).await
    }

    /// The runs or the logged models of an experiment, of any lifecycle: with it they go, or it stays.
    pub async fn list_of_experiment(&self, kind: Purgeable, experiment_id: i64) -> Result<Vec<Deleted>> {
        self.db
            .read(Weight::Heavy, move |db| match kind {
                Purgeable::Run => db.rows(
                    "SELECT uuid, experiment, artifact_uri, deleted_time, lifecycle FROM run WHERE experiment = ?1",
                    params![experiment_id],
                    |row| deleted(kind, row),
                ),
                Purgeable::LoggedModel => db.rows(
                    "SELECT id, experiment, artifact_uri, last_update_time, lifecycle FROM logged_model WHERE experiment = ?1",
                    params![experiment_id],
                    |row| deleted(kind, row),
                ),
                Purgeable::Experiment => Ok(vec![]),
            })
            .await
    }

    /// What these take in the database.
    pub async fn weigh(&self, kind: Purgeable, ids: Vec<String>) -> Result<Vec<Weighed>> {
        self.db.read(Weight::Heavy, move |db| ids.iter().map(|id| weigh(db, kind, id)).collect()).await
    }

    /// Begins the purge of things that are deleted, in the order of `ids`. What is begun is never restored.
    pub async fn begin_purge(&self, kind: Purgeable, ids: Vec<String>, rules: PurgeRules) -> Result<Vec<Begun>> {
        let mut begun = Vec::with_capacity(ids.len());
        for part in ids.chunks(AT_ONCE) {
            let part = part.to_vec();
            begun.append(&mut self.db.write(64 * part.len(), move |tx| begin(tx, kind, &part, rules)).await?);
        }
        Ok(begun)
    }

    /// Deletes all rows of things whose purge was begun and whose artifacts are gone. Tells of each whether this call
    /// took it: another purge may have done so. An experiment that still has runs or logged models stays.
    pub async fn finish_purge(&self, kind: Purgeable, ids: Vec<String>) -> Result<Vec<bool>> {
        let mut taken = Vec::with_capacity(ids.len());
        while taken.len() < ids.len() {
            let part: Vec<String> = ids.iter().skip(taken.len()).take(AT_ONCE).cloned().collect();
            let start = Instant::now();
            taken.append(&mut self.db.write(64 * part.len(), move |tx| finish(tx, kind, &part)).await?);
            // Half of the time belongs to the servers.
            tokio::time::sleep(start.elapsed().clamp(Duration::from_millis(1), Duration::from_millis(200))).await;
        }
        Ok(taken)
    }
}

fn deleted(kind: Purgeable, row: &Row) -> Result<Deleted> {
    Ok(Deleted {
        kind,
        id: row.get(0)?,
        experiment_id: row.get(1)?,
        artifact_uri: row.get(2)?,
        deleted_time: row.get::<Option<i64>>(3)?.unwrap_or(0),
        begun: row.get::<i64>(4)? == PURGING,
    })
}

/// A thing whose lifecycle is `least` or beyond.
fn find(db: &Conn, kind: Purgeable, id: &str, least: i64) -> Result<Option<Deleted>> {
    match kind {
        Purgeable::Run => db.row(
            "SELECT uuid, experiment, artifact_uri, deleted_time, lifecycle FROM run WHERE uuid = ?1 AND lifecycle >= ?2",
            params![id, least],
            |row| deleted(kind, row),
        ),
        Purgeable::LoggedModel => db.row(
            "SELECT id, experiment, artifact_uri, last_update_time, lifecycle FROM logged_model WHERE id = ?1 AND lifecycle >= ?2",
            params![id, least],
            |row| deleted(kind, row),
        ),
        Purgeable::Experiment => {
            let Ok(number) = id.parse::<i64>() else { return Ok(None) };
            db.row(
                "SELECT CAST(id AS TEXT), id, artifact_location, last_update_time, lifecycle FROM experiment WHERE id = ?1 AND lifecycle >= ?2",
                params![number, least],
                |row| deleted(kind, row),
            )
        }
    }
}

fn weigh(db: &Conn, kind: Purgeable, id: &str) -> Result<Weighed> {
    // The sums need no more than the lengths that the rows carry.
    let sql = match kind {
        Purgeable::Run => {
            "SELECT CAST(300 + COALESCE((SELECT sum(octet_length(data)) FROM metric_block WHERE run = r.id), 0)
                + COALESCE((SELECT sum(octet_length(data)) FROM metric_chunk WHERE run = r.id), 0)
                + COALESCE((SELECT count(*) * 40 FROM latest_metric WHERE run = r.id), 0)
                + COALESCE((SELECT sum(octet_length(key) + octet_length(value) + 16) FROM param WHERE run = r.id), 0)
                + COALESCE((SELECT sum(octet_length(key) + octet_length(value) + 16) FROM tag WHERE run = r.id), 0) AS BIGINT)
             FROM run r WHERE r.uuid = ?1"
        }
        Purgeable::LoggedModel => {
            "SELECT CAST(300 + COALESCE((SELECT sum(octet_length(key) + octet_length(value) + 16) FROM logged_model_param WHERE model = l.id), 0)
                + COALESCE((SELECT sum(octet_length(key) + octet_length(value) + 16) FROM logged_model_tag WHERE model = l.id), 0)
                + COALESCE((SELECT sum(octet_length(key) + 100) FROM logged_model_metric WHERE model = l.id), 0) AS BIGINT)
             FROM logged_model l WHERE l.id = ?1"
        }
        Purgeable::Experiment => {
            "SELECT CAST(200 + COALESCE((SELECT sum(octet_length(key) + octet_length(value) + 16) FROM experiment_tag WHERE experiment = e.id), 0)
                + COALESCE((SELECT sum(octet_length(source) + COALESCE(octet_length(schema), 0) + COALESCE(octet_length(profile), 0)) FROM dataset WHERE experiment = e.id), 0) AS BIGINT)
             FROM experiment e WHERE CAST(e.id AS TEXT) = ?1"
        }
    };
    let bytes: Option<i64> = db.row(sql, params![id], |row| row.get(0))?;
    Ok(Weighed { bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0) })
}

fn begin(tx: &Tx, kind: Purgeable, ids: &[String], rules: PurgeRules) -> Result<Vec<Begun>> {
    let uses = Uses::read(tx.db, rules.keep_registered)?;
    ids.iter().map(|id| begin_one(tx.db, kind, id, rules, &uses)).collect()
}

fn begin_one(db: &Conn, kind: Purgeable, id: &str, rules: PurgeRules, uses: &Uses) -> Result<Begun> {
    let found = match kind {
        Purgeable::Run => lock_run(db, id)?,
        Purgeable::LoggedModel => lock_model(db, id)?,
        Purgeable::Experiment => lock_experiment(db, id)?,
    };
    let Some((found, doomed)) = found else { return Ok(Begun::Gone) };
    if found.begun {
        return Ok(Begun::Yes(found));
    }
    // What lies in an experiment that is begun goes with it, whatever it is itself.
    if !doomed {
        if found.deleted_time > rules.deleted_before {
            return Ok(Begun::Gone);
        }
        let why = match kind {
            Purgeable::Experiment => why_experiment_stays(db, &found, uses)?,
            Purgeable::Run | Purgeable::LoggedModel => uses.of(id),
        };
        if let Some(why) = why {
            return Ok(Begun::Kept(why));
        }
    }
    match kind {
        Purgeable::Run => db.execute("UPDATE run SET lifecycle = 2 WHERE uuid = ?1", params![id])?,
        Purgeable::LoggedModel => db.execute("UPDATE logged_model SET lifecycle = 2 WHERE id = ?1", params![id])?,
        Purgeable::Experiment => {
            db.execute("UPDATE experiment SET lifecycle = 2 WHERE id = ?1", params![found.experiment_id])?
        }
    };
    Ok(Begun::Yes(Deleted { begun: true, ..found }))
}

/// A run that may be begun, locked, and whether its experiment is begun.
fn lock_run(db: &Conn, id: &str) -> Result<Option<(Deleted, bool)>> {
    lock(db, "SELECT 1 FROM run WHERE uuid = ?1", id)?;
    let sql = "SELECT r.uuid, r.experiment, r.artifact_uri, r.deleted_time, r.lifecycle, e.lifecycle FROM run r
         JOIN experiment e ON e.id = r.experiment WHERE r.uuid = ?1 AND (r.lifecycle > 0 OR e.lifecycle = 2)";
    db.row(sql, params![id], |row| Ok((deleted(Purgeable::Run, row)?, row.get::<i64>(5)? == PURGING)))
}

fn lock_model(db: &Conn, id: &str) -> Result<Option<(Deleted, bool)>> {
    lock(db, "SELECT 1 FROM logged_model WHERE id = ?1", id)?;
    let sql =
        "SELECT l.id, l.experiment, l.artifact_uri, l.last_update_time, l.lifecycle, e.lifecycle FROM logged_model l
         JOIN experiment e ON e.id = l.experiment WHERE l.id = ?1 AND (l.lifecycle > 0 OR e.lifecycle = 2)";
    db.row(sql, params![id], |row| Ok((deleted(Purgeable::LoggedModel, row)?, row.get::<i64>(5)? == PURGING)))
}

fn lock_experiment(db: &Conn, id: &str) -> Result<Option<(Deleted, bool)>> {
    // Whoever restores one of its runs holds this row too.
    lock(db, "SELECT 1 FROM experiment WHERE CAST(id AS TEXT) = ?1", id)?;
    Ok(find(db, Purgeable::Experiment, id, 1)?.map(|found| (found, false)))
}

/// Holds a row until the transaction ends. SQLite has one writer anyway.
fn lock(db: &Conn, select: &str, id: &str) -> Result<()> {
    if db.dialect() == Dialect::Postgres {
        db.row(&format!("{select} FOR UPDATE"), params![id], |_| Ok(()))?;
    }
    Ok(())
}

/// Somebody may have restored a run of a deleted experiment, and with it everything that goes with the run.
fn why_experiment_stays(db: &Conn, experiment: &Deleted, uses: &Uses) -> Result<Option<String>> {
    let id = experiment.experiment_id;
    let active: Option<String> =
        db.row("SELECT uuid FROM run WHERE experiment = ?1 AND lifecycle = 0 LIMIT 1", params![id], |row| row.get(0))?;
    if let Some(run) = active {
        return Ok(Some(format!("its run {run} was restored; delete the run, or restore the experiment")));
    }
    let mut why = None;
    for sql in ["SELECT uuid FROM run WHERE experiment = ?1", "SELECT id FROM logged_model WHERE experiment = ?1"] {
        db.each(sql, params![id], |row| {
            let part: String = row.get(0)?;
            why = uses.of(&part).map(|used| format!("of {part} in it: {used}"));
            Ok(if why.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if why.is_some() {
            break;
        }
    }
    Ok(why)
}

/// Who uses the files of a run or of a logged model, by its id. Ids are unique, so whatever location has one among its
/// names lies in that run or model, however the location is spelled.
struct Uses(HashMap<String, String>);

impl Uses {
    fn read(db: &Conn, registered: bool) -> Result<Uses> {
        let mut uses = HashMap::new();
        db.each("SELECT id, artifact_location FROM experiment", params![], |row| {
            let id: i64 = row.get(0)?;
            for name in ids_in(&row.text(1)?) {
                uses.insert(name.to_owned(), format!("experiment {id} keeps its artifacts inside of it"));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if registered {
            let sql = "SELECT name, version, source, COALESCE(storage_location, ''), model_id FROM model_version WHERE stage <> ?1";
            db.each(sql, params![DELETED_VERSION], |row| {
                let (name, version) = (row.text(0)?.into_owned(), row.get::<i64>(1)?);
                let (source, location, model) = (row.text(2)?, row.text(3)?, row.text(4)?);
                for id in ids_in(&source).chain(ids_in(&location)).chain(ids_in(&model)) {
                    uses.insert(
                        id.to_owned(),
                        format!("version {version} of the registered model '{name}' uses its files"),
                    );
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(Uses(uses))
    }

    fn of(&self, id: &str) -> Option<String> {
        self.0.get(id).cloned()
    }
}

/// The ids of runs and of logged models among the names of a location.
fn ids_in(location: &str) -> impl Iterator<Item = &str> {
    location.split(['/', ':', '?', '#']).filter(|name| {
        let digits = name.strip_prefix("m-").unwrap_or(name);
        digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Takes rows until the slice is full; tells of the first of `ids` that are done with whether this took them.
fn finish(tx: &Tx, kind: Purgeable, ids: &[String]) -> Result<Vec<bool>> {
    let mut room = SLICE;
    let mut taken = Vec::new();
    for id in ids {
        let done = match kind {
            Purgeable::Run => finish_run(tx.db, id, &mut room)?,
            Purgeable::LoggedModel => finish_model(tx.db, id, &mut room)?,
            Purgeable::Experiment => finish_experiment(tx.db, id, &mut room)?,
        };
        let Some(done) = done else { break };
        taken.push(done);
        if room == 0 {
            break;
        }
    }
    Ok(taken)
}

/// Deletes rows of one table as far as there is room; true when none are left.
fn take(db: &Conn, room: &mut usize, counts: usize, sql: &str, owner: crate::db::Sql) -> Result<bool> {
    let most = room.div_ceil(counts);
    if most == 0 {
        return Ok(false);
    }
    let gone = db.execute(sql, &[owner, most.into()])?;
    *room = room.saturating_sub(gone * counts);
    Ok(gone < most)
}

/// `None` when there was no room for all of it.
fn finish_run(db: &Conn, id: &str, room: &mut usize) -> Result<Option<bool>> {
    lock(db, "SELECT 1 FROM run WHERE uuid = ?1", id)?;
    let sql = "SELECT id, experiment, ranked, artifact_uri FROM run WHERE uuid = ?1 AND lifecycle = 2";
    let found: Option<(Active, String)> = db.row(sql, params![id], |row| {
        Ok((Active { row: row.get(0)?, experiment: row.get(1)?, ranked: row.get(2)? }, row.get(3)?))
    })?;
    let Some((run, artifact_uri)) = found else { return Ok(Some(false)) };
    // While its metrics are all there: they say where it stands.
    rank::unrank(db, &run)?;
    let row = run.row;
    for (counts, sql) in [
        (
            1,
            "DELETE FROM metric_block WHERE run = ?1 AND seq IN (SELECT seq FROM metric_block WHERE run = ?1 LIMIT ?2)",
        ),
        (CHUNK_COUNTS, "DELETE FROM metric_chunk WHERE id IN (SELECT id FROM metric_chunk WHERE run = ?1 LIMIT ?2)"),
        (
            1,
            "DELETE FROM latest_metric WHERE run = ?1 AND key IN (SELECT key FROM latest_metric WHERE run = ?1 LIMIT ?2)",
        ),
        (1, "DELETE FROM param WHERE run = ?1 AND key IN (SELECT key FROM param WHERE run = ?1 LIMIT ?2)"),
        (1, "DELETE FROM tag WHERE run = ?1 AND key IN (SELECT key FROM tag WHERE run = ?1 LIMIT ?2)"),
    ] {
        if !take(db, room, counts, sql, row.into())? {
            return Ok(None);
        }
    }
    let sql =
        "DELETE FROM run_model WHERE run = ?1 AND model_id IN (SELECT model_id FROM run_model WHERE run = ?1 LIMIT ?2)";
    if !take(db, room, 1, sql, row.into())?
        || !take_datasets(db, row, room)?
        || !take_artifact_index(db, &artifact_uri, room)?
    {
        return Ok(None);
    }
    *room = room.saturating_sub(1);
    Ok(Some(db.execute("DELETE FROM run WHERE id = ?1", params![row])? > 0))
}

/// Takes a run's datasets, and those of them that no other run has.
fn take_datasets(db: &Conn, run: i64, room: &mut usize) -> Result<bool> {
    let datasets: Vec<i64> =
        db.rows("SELECT dataset FROM run_dataset WHERE run = ?1 ORDER BY dataset", params![run], |row| row.get(0))?;
    for dataset in datasets {
        if *room == 0 {
            return Ok(false);
        }
        *room = room.saturating_sub(8);
        db.execute("DELETE FROM run_dataset_tag WHERE run = ?1 AND dataset = ?2", params![run, dataset])?;
        db.execute("DELETE FROM run_dataset WHERE run = ?1 AND dataset = ?2", params![run, dataset])?;
        if db.dialect() == Dialect::Postgres {
            // A statement of its own, so that the next one sees what a server noted while this one waited for it.
            db.row("SELECT 1 FROM dataset WHERE id = ?1 FOR UPDATE", params![dataset], |_| Ok(()))?;
        }
        db.execute(
            "DELETE FROM dataset WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM run_dataset WHERE dataset = ?1)",
            params![dataset],
        )?;
    }
    Ok(true)
}

/// Forgets what is remembered of a bucket.
fn take_artifact_index(db: &Conn, uri: &str, room: &mut usize) -> Result<bool> {
    lock(db, "SELECT 1 FROM artifact_root WHERE uri = ?1", uri)?;
    let sql = "SELECT id FROM artifact_root WHERE uri = ?1";
    let Some(root) = db.row(sql, params![uri], |row| row.get::<i64>(0))? else { return Ok(true) };
    for sql in [
        "DELETE FROM artifact_file WHERE root = ?1 AND (dir, name) IN (SELECT dir, name FROM artifact_file WHERE root = ?1 LIMIT ?2)",
        "DELETE FROM artifact_dir WHERE root = ?1 AND (parent, name) IN (SELECT parent, name FROM artifact_dir WHERE root = ?1 LIMIT ?2)",
    ] {
        if !take(db, room, 1, sql, root.into())? {
            return Ok(false);
        }
    }
    db.execute("DELETE FROM artifact_root WHERE id = ?1", params![root])?;
    Ok(true)
}

fn finish_model(db: &Conn, id: &str, room: &mut usize) -> Result<Option<bool>> {
    lock(db, "SELECT 1 FROM logged_model WHERE id = ?1", id)?;
    let Some(found) = find(db, Purgeable::LoggedModel, id, PURGING)? else { return Ok(Some(false)) };
    for sql in [
        "DELETE FROM logged_model_tag WHERE model = ?1 AND key IN (SELECT key FROM logged_model_tag WHERE model = ?1 LIMIT ?2)",
        "DELETE FROM logged_model_param WHERE model = ?1 AND key IN (SELECT key FROM logged_model_param WHERE model = ?1 LIMIT ?2)",
        "DELETE FROM logged_model_metric WHERE model = ?1 AND (key, timestamp, step, run_id) IN
            (SELECT key, timestamp, step, run_id FROM logged_model_metric WHERE model = ?1 LIMIT ?2)",
    ] {
        if !take(db, room, 1, sql, id.into())? {
            return Ok(None);
        }
    }
    if !take_artifact_index(db, &found.artifact_uri, room)? {
        return Ok(None);
    }
    *room = room.saturating_sub(1);
    Ok(Some(db.execute("DELETE FROM logged_model WHERE id = ?1", params![id])? > 0))
}

fn finish_experiment(db: &Conn, id: &str, room: &mut usize) -> Result<Option<bool>> {
    lock(db, "SELECT 1 FROM experiment WHERE CAST(id AS TEXT) = ?1", id)?;
    let Some(found) = find(db, Purgeable::Experiment, id, PURGING)? else { return Ok(Some(false)) };
    let id = found.experiment_id;
    for sql in
        ["SELECT 1 FROM run WHERE experiment = ?1 LIMIT 1", "SELECT 1 FROM logged_model WHERE experiment = ?1 LIMIT 1"]
    {
        if db.row(sql, params![id], |_| Ok(()))?.is_some() {
            return Ok(Some(false));
        }
    }
    for (counts, sql) in [
        (
            1,
            "DELETE FROM experiment_tag WHERE experiment = ?1 AND key IN (SELECT key FROM experiment_tag WHERE experiment = ?1 LIMIT ?2)",
        ),
        (CHUNK_COUNTS, "DELETE FROM dataset WHERE id IN (SELECT id FROM dataset WHERE experiment = ?1 LIMIT ?2)"),
    ] {
        if !take(db, room, counts, sql, id.into())? {
            return Ok(None);
        }
    }
    *room = room.saturating_sub(1);
    Ok(Some(db.execute("DELETE FROM experiment WHERE id = ?1", params![id])? > 0))
}

#[cfg(test)]
mod tests {
    use super::ids_in;

    #[test]
    fn ids_are_found_in_every_spelling_of_a_location() {
        let run = "0123456789abcdef0123456789abcdef";
        let model = format!("m-{run}");
        let found = |location: &str| ids_in(location).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(found(&format!("runs:/{run}/model")), [run]);
        assert_eq!(found(&format!("models:/{model}")), std::slice::from_ref(&model));
        assert_eq!(found(&format!("s3://b/1/{run}/artifacts?versionId=7")), [run]);
        assert_eq!(found(&format!("mlflow-artifacts://h/1/models/{model}/artifacts")), [model]);
        assert_eq!(found("s3://b/1/model"), Vec::<String>::new());
    }
}

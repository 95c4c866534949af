//! Runs in the order of their metrics, for searches: `metric_rank` has the latest metrics of runs at rest.
//!
//! A run comes in when it ends, and goes out with the next metric that is logged to it; so what is logged while a
//! script runs costs nothing here. Runs that never end (a killed notebook) come in when a search met too many of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::Store;
use crate::db::{Conn, Dialect, Tx, params};
use crate::error::Result;
use crate::runs::Active;

/// A search among more unranked runs than this has them ranked.
pub(crate) const TOO_MANY: i64 = 1000;
/// Runs of one transaction.
const TOGETHER: usize = 200;
/// The newest unranked runs stay so: scripts may be writing to them.
const NEWEST: usize = 200;

/// Takes in a run whose row this transaction holds.
pub(crate) fn rank(db: &Conn, run: &Active) -> Result<()> {
    if run.ranked {
        return Ok(());
    }
    db.execute(
        "INSERT INTO metric_rank (experiment, key, nan, value, run) SELECT ?2, key, nan, value, run FROM latest_metric WHERE run = ?1",
        params![run.row, run.experiment],
    )?;
    db.execute("UPDATE run SET ranked = 1 WHERE id = ?1", params![run.row])?;
    Ok(())
}

/// Takes out a run whose row this transaction holds, before its metrics change.
pub(crate) fn unrank(db: &Conn, run: &Active) -> Result<()> {
    if !run.ranked {
        return Ok(());
    }
    let sql = match db.dialect() {
        Dialect::Sqlite => {
            "DELETE FROM metric_rank WHERE (experiment, key, nan, value, run) IN
                (SELECT ?2, key, nan, value, run FROM latest_metric WHERE run = ?1)"
        }
        Dialect::Postgres => {
            "DELETE FROM metric_rank w USING latest_metric m
                WHERE m.run = ?1 AND w.experiment = ?2 AND w.key = m.key AND w.nan = m.nan AND w.value = m.value AND w.run = m.run"
        }
    };
    db.execute(sql, params![run.row, run.experiment])?;
    db.execute("UPDATE run SET ranked = 0 WHERE id = ?1", params![run.row])?;
    Ok(())
}

impl Store {
    /// Ranks the unranked runs of an experiment, but for the newest, beside everything else that goes on.
    pub(crate) fn rank_later(&self, experiment: i64) {
        if self.ranking.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            loop {
                match store.db.write(64, move |tx| rank_some(tx, experiment)).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, experiment, "runs could not be put in the order of their metrics");
                        break;
                    }
                }
            }
            Arc::clone(&store.ranking).store(false, Ordering::Release);
        });
    }
}

/// How many runs were ranked.
fn rank_some(tx: &Tx, experiment: i64) -> Result<usize> {
    let sql = format!(
        "SELECT id FROM run WHERE experiment = ?1 AND ranked = 0 AND id < COALESCE(
            (SELECT id FROM run WHERE experiment = ?1 AND ranked = 0 ORDER BY id DESC LIMIT 1 OFFSET {NEWEST}), 0)
         ORDER BY id LIMIT {TOGETHER}{}",
        match tx.db.dialect() {
            Dialect::Sqlite => "",
            // Who holds a run writes to it.
            Dialect::Postgres => " FOR NO KEY UPDATE SKIP LOCKED",
        }
    );
    let rows: Vec<i64> = tx.db.rows(&sql, params![experiment], |row| row.get(0))?;
    for row in &rows {
        rank(tx.db, &Active { row: *row, experiment, ranked: false })?;
    }
    Ok(rows.len())
}

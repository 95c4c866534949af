//! Searching for runs.

use super::Run;
use super::load::{self, RunColumns};
use super::plan::{Plan, Planned};
use crate::db::Weight;
use crate::error::Result;
use crate::filter::{self, Attribute, Entity};
use crate::search::{Metrics, Page, Query, Side, Sort, Table};
use crate::{Store, ViewType, limits};

#[derive(Debug, Clone, Default)]
pub struct RunSearch {
    pub experiment_ids: Vec<i64>,
    pub filter: String,
    pub order_by: Vec<String>,
    pub view: ViewType,
    pub max_results: i64,
    pub page_token: Option<String>,
    pub columns: RunColumns,
    /// Whether to say how many runs there are on all pages.
    pub count: bool,
}

/// One page of runs, and how many there are on all pages if that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    pub page: Page<Run>,
    pub total: Option<u64>,
}

impl Store {
    pub async fn search_runs(&self, search: RunSearch) -> Result<Page<Run>> {
        Ok(self.search_and_count_runs(search).await?.page)
    }

    /// As [`Store::search_runs`]; page and number are of the same moment. A search for no runs only counts.
    pub async fn search_and_count_runs(&self, search: RunSearch) -> Result<RunPage> {
        let only_counts = search.count && search.max_results == 0;
        let limit =
            if only_counts { 0 } else { limits::check_max_results(search.max_results, limits::SEARCH_RESULTS)? };
        let filter = filter::parse(Entity::Run, &search.filter)?;
        let order = filter::parse_order_by(Entity::Run, &search.order_by)?;
        let mut experiments = search.experiment_ids;
        experiments.sort_unstable();
        experiments.dedup();
        let (found, to_rank) = self
            .db
            .read(Weight::Heavy, move |db| {
                db.along_indexes()?;
                let mut query = Query::new(db, &RUNS, "run r");
                query.filter(&filter)?;
                // As MLflow 3.17: newest first, then by id, behind whatever else was asked for.
                query.order(&order, vec![Sort::integer("r.start_time", true)], Sort::text("r.uuid", false))?;
                let plan = Plan {
                    query: &query,
                    filter: &filter,
                    order: &order,
                    experiments: &experiments,
                    view: search.view,
                    limit,
                    token: search.page_token.as_deref(),
                };
                let total = search.count.then(|| plan.count()).transpose()?;
                if only_counts {
                    return Ok((RunPage { page: Page { items: vec![], next_page_token: None }, total }, None));
                }
                let Planned { page: Page { items, next_page_token }, to_rank } = plan.page()?;
                let items = load::many(db, &items, &search.columns)?;
                Ok((RunPage { page: Page { items, next_page_token }, total }, to_rank))
            })
            .await?;
        if let Some(experiment) = to_rank {
            self.rank_later(experiment);
        }
        Ok(found)
    }
}

/// How filters and orders on runs become SQL.
const RUNS: Table = Table {
    entity: Entity::Run,
    id: &["r.id"],
    attribute: |attribute| match attribute {
        Attribute::RunId => Some("r.uuid"),
        Attribute::RunName => Some("r.name"),
        Attribute::Status => Some("r.status"),
        Attribute::ArtifactUri => Some("r.artifact_uri"),
        Attribute::UserId => Some("r.user_id"),
        Attribute::StartTime => Some("r.start_time"),
        Attribute::EndTime => Some("r.end_time"),
        _ => None,
    },
    tag: Some(Side { table: "tag", owner: &[("run", "r.id")] }),
    param: Some(Side { table: "param", owner: &[("run", "r.id")] }),
    metric: Some(Metrics::OfRun(Side { table: "latest_metric", owner: &[("run", "r.id")] })),
};

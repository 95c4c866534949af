//! The whole HTTP surface. Everything of MLflow's protocol stands under `/api` and `/ajax-api` alike.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, patch, post};

use trackway_tracking::Store;

use crate::api;
use crate::artifacts::{self, ArtifactService};
use crate::config::Config;
use crate::mlflow::{
    experiments, gateway, graphql, inputs, log, logged_models, metrics, model_versions, registered_models, runs,
};
use crate::prometheus::Metrics;
use crate::readiness::{self, Draining};
use crate::state::AppState;
use crate::{not_built, server_info, ui};

/// The largest JSON body, in bytes: room for a dataset with the largest profile that MLflow allows (16 MiB), escaped.
const LARGEST_BODY: usize = 64 << 20;

/// All routes. Without a tracking store only what a server for artifacts alone has.
/// As in MLflow, the static prefix stands before all of them, `/api` included; only `/metrics` goes without.
pub(crate) fn router(
    config: &Config,
    store: Option<Store>,
    artifacts: Arc<ArtifactService>,
    figures: &Metrics,
    draining: Draining,
) -> Router {
    let prefix = &config.static_prefix;
    let mut router = Router::new()
        .merge(server_info::routes(config, artifacts.capabilities()))
        .merge(readiness::routes(config, store.clone(), draining.clone()))
        .merge(figures.routes())
        .nest(&format!("{prefix}/api/2.0/mlflow-artifacts"), artifacts::proxy_routes())
        .nest(&format!("{prefix}/ajax-api/2.0/mlflow-artifacts"), artifacts::proxy_routes())
        .with_state(Arc::clone(&artifacts));
    if let Some(store) = store {
        let app = AppState { store, artifacts, draining, listeners: Arc::default() };
        let mlflow = mlflow().merge(artifacts::mlflow_routes()).layer(DefaultBodyLimit::max(LARGEST_BODY));
        let ajax = ajax_only().layer(DefaultBodyLimit::max(LARGEST_BODY)).merge(artifacts::ajax_routes());
        let pages = Router::new()
            .nest(&format!("{prefix}/api/2.0/mlflow"), mlflow.clone())
            .nest(&format!("{prefix}/ajax-api/2.0/mlflow"), mlflow.merge(ajax))
            .nest(&format!("{prefix}/api/3.0/trackway"), api::routes())
            .nest(&format!("{prefix}/ajax-api/3.0/trackway"), api::routes());
        let pages = if prefix.is_empty() {
            pages.merge(artifacts::page_routes())
        } else {
            pages.nest(prefix, artifacts::page_routes())
        };
        let graphql = post(graphql::post).layer(DefaultBodyLimit::max(graphql::LARGEST_REQUEST));
        let pages = pages.route(&format!("{prefix}/graphql"), graphql);
        router = router.merge(pages.with_state(app)).merge(ui::routes(config));
    }
    not_built::attach(router, config)
}

#[rustfmt::skip]
fn mlflow() -> Router<AppState> {
    Router::new()
        .route("/experiments/create", post(experiments::create))
        .route("/experiments/get", get(experiments::get))
        .route("/experiments/get-by-name", get(experiments::get_by_name))
        .route("/experiments/search", post(experiments::search).get(experiments::search_by_query))
        .route("/experiments/update", post(experiments::update))
        .route("/experiments/delete", post(experiments::delete))
        .route("/experiments/restore", post(experiments::restore))
        .route("/experiments/set-experiment-tag", post(experiments::set_tag))
        .route("/experiments/delete-experiment-tag", post(experiments::delete_tag))

        .route("/runs/create", post(runs::create))
        .route("/runs/get", get(runs::get))
        .route("/runs/search", post(runs::search))
        .route("/runs/update", post(runs::update))
        .route("/runs/delete", post(runs::delete))
        .route("/runs/restore", post(runs::restore))

        .route("/runs/log-metric", post(log::metric))
        .route("/runs/log-parameter", post(log::param))
        .route("/runs/set-tag", post(log::set_tag))
        .route("/runs/delete-tag", post(log::delete_tag))
        .route("/runs/log-batch", post(log::batch))
        .route("/runs/log-model", post(log::model))
        .route("/runs/log-inputs", post(inputs::log_inputs))
        .route("/runs/outputs", post(inputs::log_outputs))

        .route("/metrics/get-history", get(metrics::get_history))
        .route("/metrics/get-history-bulk-interval", get(metrics::get_history_bulk_interval))

        .route("/logged-models", post(logged_models::create))
        .route("/logged-models/search", post(logged_models::search))
        .route("/logged-models/{model_id}", get(logged_models::get).patch(logged_models::finalize).delete(logged_models::delete))
        .route("/logged-models/{model_id}/tags", patch(logged_models::set_tags))
        .route("/logged-models/{model_id}/tags/{key}", delete(logged_models::delete_tag))
        .route("/logged-models/{model_id}/params", post(logged_models::log_params))

        .route("/registered-models/create", post(registered_models::create))
        .route("/registered-models/get", get(registered_models::get))
        .route("/registered-models/search", get(registered_models::search))
        .route("/registered-models/update", patch(registered_models::update))
        .route("/registered-models/rename", post(registered_models::rename))
        .route("/registered-models/delete", delete(registered_models::delete))
        .route("/registered-models/set-tag", post(registered_models::set_tag))
        .route("/registered-models/delete-tag", delete(registered_models::delete_tag))
        .route("/registered-models/alias", post(registered_models::set_alias).get(registered_models::get_alias).delete(registered_models::delete_alias))
        .route("/registered-models/get-latest-versions", post(registered_models::latest_versions).get(registered_models::latest_versions_by_query))

        .route("/model-versions/create", post(model_versions::create))
        .route("/model-versions/get", get(model_versions::get))
        .route("/model-versions/search", get(model_versions::search))
        .route("/model-versions/update", patch(model_versions::update))
        .route("/model-versions/delete", delete(model_versions::delete))
        .route("/model-versions/transition-stage", post(model_versions::transition_stage))
        .route("/model-versions/set-tag", post(model_versions::set_tag))
        .route("/model-versions/delete-tag", delete(model_versions::delete_tag))
        .route("/model-versions/get-download-uri", get(model_versions::get_download_uri))
}

/// What MLflow serves to its own pages only.
fn ajax_only() -> Router<AppState> {
    Router::new()
        .route("/experiments/search-datasets", post(inputs::search_datasets))
        .route("/metrics/get-history-bulk", get(metrics::get_history_bulk))
        .route("/gateway-proxy", get(gateway::endpoints))
}

//! `gateway-proxy`, by which pages reach the endpoints of an AI gateway that the server was told of.
//!
//! This server knows of none, which is how most stock servers run, and it says so as they do. It is no feature that is
//! missing here: the runs page asks on every visit, and shows an error to its user when it gets one.

use axum::response::Response;
use serde::Serialize;

use crate::wire;

#[derive(Serialize)]
struct Endpoints {
    endpoints: [(); 0],
}

pub(crate) async fn endpoints() -> Response {
    wire::json(&Endpoints { endpoints: [] })
}

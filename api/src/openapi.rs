//! The OpenAPI document, generated from the routes; `openapi.json` beside this crate is its committed copy.

use utoipa::OpenApi;

use crate::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tagmill",
        description = "Segments, members, cross-tabs and SQL over a tagmill warehouse. Every answer names the snapshot \
                       it was computed on and the instant up to which events were read. Private columns are masked."
    ),
    tags(
        (name = "server", description = "The server itself"),
        (name = "snapshots", description = "Published states of the warehouse"),
        (name = "segments", description = "Questions whose answer is a set of customers"),
        (name = "analysis", description = "Cross-tabs and SQL")
    )
)]
struct Document;

/// The OpenAPI 3.1 document of every route, as served at `/api/openapi.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi().merge_from(routes::api().into_openapi())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let generated = openapi().to_pretty_json().expect("a document") + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &generated).expect("the document is written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == generated, "`{path}` is stale; run this test with UPDATE=1");
    }

    #[test]
    fn every_operation_says_what_a_failure_looks_like() {
        for (path, item) in openapi().paths.paths {
            for operation in [item.get, item.post].into_iter().flatten() {
                assert!(operation.responses.responses.contains_key("default"), "{path}");
            }
        }
    }
}

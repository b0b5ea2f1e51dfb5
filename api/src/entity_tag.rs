//! Entity tags: an answer is the same as long as its snapshot and its definition are.

use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tagmill_schemas::ids::SnapshotId;

/// The `ETag` of an answer, known before the answer is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntityTag(String);

impl EntityTag {
    /// The tag of what `definition_hash` answers on a snapshot. What else an answer depends on is in its URL.
    pub(crate) fn new(snapshot_id: SnapshotId, definition_hash: &str) -> Self {
        Self(format!("\"s{snapshot_id}-{definition_hash}\""))
    }

    /// Tells whether the client already has this answer, by its `If-None-Match`.
    pub(crate) fn is_known_to(&self, client: &HeaderMap) -> bool {
        let lists = client.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        lists.flat_map(|list| list.split(',')).map(str::trim).any(|tag| {
            // Proxies that recompress an answer weaken its tag; for a GET, weak equality is what counts.
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0
        })
    }

    /// The answer to a client that already has it: 304, without a body.
    pub(crate) fn not_modified(self) -> Response {
        (StatusCode::NOT_MODIFIED, [(ETAG, self.0)]).into_response()
    }

    /// An answer that carries its tag.
    pub(crate) fn on(self, answer: impl IntoResponse) -> Response {
        ([(ETAG, self.0)], answer).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_is_known_by_any_of_the_tags_a_client_lists() {
        let tag = EntityTag::new(SnapshotId(12), "abc");
        let knows = |list: &'static str| {
            let mut client = HeaderMap::new();
            client.insert(IF_NONE_MATCH, HeaderValue::from_static(list));
            tag.is_known_to(&client)
        };
        assert!(knows("\"s12-abc\""));
        assert!(knows("\"s11-abc\", W/\"s12-abc\""));
        assert!(knows("*"));
        assert!(!knows("\"s13-abc\""));
        assert!(!tag.is_known_to(&HeaderMap::new()));
    }
}

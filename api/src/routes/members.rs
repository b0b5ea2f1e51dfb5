//! The members of a segment, page by page.
//!
//! A page says where the next one begins, by the last customer number it gave, the snapshot it was read from and the
//! definition it answers. A later page is read from that same snapshot, so that nobody is skipped or given twice while
//! new ones are published; once the definition is edited, there is no later page.

use arrow::array::RecordBatch;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use tagmill_query::export::{MemberRows, RowPer};
use tagmill_schemas::ids::{CustomerNo, SnapshotId};
use tagmill_schemas::segment::AsOf;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, row_limit};
use crate::as_of::join_as_of;
use crate::cells::{object_of, rows_of};
use crate::cursor::{DefinitionMark, MemberCursor};
use crate::entity_tag::EntityTag;
use crate::error::ApiError;
use crate::extract::{InPath, InQuery};
use crate::problem::Problem;
use crate::wire::{MemberPage, SegmentCount};

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 10_000;

/// The column that orders the list; every item has it.
const NUMBER: &str = "customer_no";

/// The columns of an item where none are asked for, beside its number.
const DEFAULT_COLUMNS: &str = "id_space,customer_id";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_members))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MemberParams {
    /// The most members to answer with; 100 where not given.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Columns of `customer`, or of the `follow` of its owner, separated by commas; `id_space,customer_id` where not
    /// given. `customer_no` always comes along.
    columns: Option<String>,
    /// `latest`, a snapshot id or a time; only where the segment itself says `latest`. The same on every page.
    as_of: Option<String>,
}

/// Lists the members of a segment by `customer_no` ascending; the pages of one list are all of one snapshot.
#[utoipa::path(
    get,
    path = "/segments/{name}/members",
    tag = "segments",
    params(("name" = String, Path, description = "The segment's name"), MemberParams),
    responses(
        (status = 200, description = "A page of members.", body = MemberPage,
            headers(("etag" = String, description = "Stands for the snapshot and the definition"))),
        (status = 304, description = "The client already has it, by its `if-none-match`."),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn list_members(
    State(app): State<App>,
    InPath(name): InPath<String>,
    InQuery(params): InQuery<MemberParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let limit = row_limit(params.limit, DEFAULT_PAGE, LARGEST_PAGE)?;
    let cursor = params.cursor.as_deref().map(MemberCursor::parse).transpose()?;
    let asked = app.as_of(params.as_of.as_deref())?;
    let segment = app.segment(name).await?;
    let definition = DefinitionMark::of(&segment.hash);
    require_same_definition(cursor, definition, &segment.key)?;
    let view = app.view(pinned(join_as_of(segment.segment.as_of, asked)?, cursor)).await?;
    let snapshot_id = view.ledger_row().snapshot_id;
    require_same_snapshot(cursor, snapshot_id)?;
    let tag = EntityTag::new(snapshot_id, &segment.hash);
    if tag.is_known_to(&headers) {
        return Ok(tag.not_modified());
    }
    let evaluation = view.evaluate(&segment).await?;
    let wanted = MemberRows {
        columns: columns_of(params.columns.as_deref().unwrap_or(DEFAULT_COLUMNS)),
        masked: Vec::new(),
        row_per: RowPer::Customer,
        universe: segment.segment.universe,
        after: cursor.map(|cursor| cursor.after),
        // One row more than a page tells whether there is a next one.
        limit: Some(limit + 1),
    };
    let rows = view.members(&evaluation, &wanted).await?;
    let mut items = objects_of(&rows.collect().await?)?;
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = match items.last() {
        Some(last) if has_more => Some(MemberCursor { snapshot_id, definition, after: number_of(last)? }.to_string()),
        _ => None,
    };
    Ok(tag.on(Json(MemberPage { items, next_cursor, count: SegmentCount::from(evaluation.count()) })))
}

/// The state a page is read from: `latest` means the cursor's snapshot once there is a cursor.
fn pinned(as_of: AsOf, cursor: Option<MemberCursor>) -> AsOf {
    match (as_of, cursor) {
        (AsOf::Latest, Some(cursor)) => AsOf::Snapshot(cursor.snapshot_id),
        _ => as_of,
    }
}

/// Refuses a cursor of another definition: the segment was edited since the page before, or the cursor is of another
/// segment's list.
fn require_same_definition(cursor: Option<MemberCursor>, found: DefinitionMark, segment: &str) -> Result<(), ApiError> {
    match cursor {
        Some(cursor) if cursor.definition != found => Err(ApiError::CursorEdited { segment: segment.to_owned() }),
        _ => Ok(()),
    }
}

/// Refuses a cursor of another snapshot: a time may have come to mean a later one than on the page before, or the
/// cursor be of another list.
fn require_same_snapshot(cursor: Option<MemberCursor>, found: SnapshotId) -> Result<(), ApiError> {
    match cursor {
        Some(MemberCursor { snapshot_id, .. }) if snapshot_id != found => {
            Err(ApiError::CursorMoved { cursor: snapshot_id.0, found: found.0 })
        }
        _ => Ok(()),
    }
}

/// The columns to read, each once, the number first.
fn columns_of(list: &str) -> Vec<String> {
    let mut columns = vec![NUMBER.to_owned()];
    for column in list.split(',').map(str::trim).filter(|column| !column.is_empty()) {
        if !columns.iter().any(|known| known == column) {
            columns.push(column.to_owned());
        }
    }
    columns
}

fn objects_of(batches: &[RecordBatch]) -> Result<Vec<Value>, ApiError> {
    let mut objects = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        objects.extend(rows_of(batch)?.into_iter().map(|row| object_of(&schema, row)));
    }
    Ok(objects)
}

fn number_of(member: &Value) -> Result<CustomerNo, ApiError> {
    let number = member.get(NUMBER).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    number.map(CustomerNo).ok_or(ApiError::MembersUnnumbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> MemberCursor {
        MemberCursor { snapshot_id: SnapshotId(12), definition: DefinitionMark::of("abc"), after: CustomerNo(7) }
    }

    #[test]
    fn a_later_page_stays_on_the_snapshot_of_the_first() {
        assert_eq!(pinned(AsOf::Latest, None), AsOf::Latest);
        assert_eq!(pinned(AsOf::Latest, Some(cursor())), AsOf::Snapshot(SnapshotId(12)));
        assert!(require_same_snapshot(Some(cursor()), SnapshotId(12)).is_ok());
    }

    #[test]
    fn a_cursor_of_another_snapshot_is_refused() {
        assert_eq!(pinned(AsOf::Snapshot(SnapshotId(3)), Some(cursor())), AsOf::Snapshot(SnapshotId(3)));
        let refused = require_same_snapshot(Some(cursor()), SnapshotId(3));
        assert!(matches!(refused, Err(ApiError::CursorMoved { cursor: 12, found: 3 })));
    }

    #[test]
    fn a_cursor_of_another_definition_is_refused() {
        assert!(require_same_definition(Some(cursor()), DefinitionMark::of("abc"), "vip").is_ok());
        assert!(require_same_definition(None, DefinitionMark::of("abd"), "vip").is_ok());
        let refused = require_same_definition(Some(cursor()), DefinitionMark::of("abd"), "vip");
        assert!(matches!(refused, Err(ApiError::CursorEdited { segment }) if segment == "vip"));
    }

    #[test]
    fn each_column_is_read_once_and_the_number_always() {
        assert_eq!(columns_of("province, city,,province,customer_no"), ["customer_no", "province", "city"]);
        assert_eq!(columns_of(""), ["customer_no"]);
    }
}

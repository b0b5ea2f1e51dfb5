//! Handing out the members of a segment: columns, masks, and one row per customer or per follow.

mod audience;
mod cells;
mod members;

pub use audience::{AUDIENCE_FORMAT, AudienceManifest, ExportedFile, FrozenAudience, LoadedAudience};
pub use cells::neutralised;
pub use members::MemberRows;
pub use tagmill_schemas::documents::audience::RowPer;

//! Handing out the members of a segment: columns, masks, and one row per customer or per follow.

mod audience;
mod cells;
mod manifest;
mod members;

pub use audience::{FrozenAudience, LoadedAudience};
pub use cells::neutralised;
pub use manifest::{AUDIENCE_FORMAT, AudienceManifest, ExportedFile};
pub use members::MemberRows;
pub use tagmill_schemas::documents::audience::RowPer;

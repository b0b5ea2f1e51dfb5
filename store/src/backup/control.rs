//! The control state of a warehouse, copied for a backup.

use super::BackupError;
use crate::control::{ControlCopy, copy_control};
use crate::error::StoreError;
use crate::warehouse::Warehouse;

/// A copy of the control state as it is now; `None` where there is none, and none is made.
pub(super) async fn copied(warehouse: &Warehouse) -> Result<Option<ControlCopy>, StoreError> {
    let file = warehouse.state_path()?.to_path_buf();
    let path = file.display().to_string();
    let copy = tokio::task::spawn_blocking(move || copy_control(&file)).await;
    copy.map_err(|cause| BackupError::Object { step: "copy", path, source: Box::new(cause.into()) })?
}

//! An audience: the customers of a segment as a file, with its manifest.

use std::fs;
use std::time::Instant;

use tagmill_query::Access;
use tagmill_query::export::LoadedAudience;

use super::corp::Corp;
use super::definitions::AUDIENCE;
use super::page::Page;
use crate::commands::audience::{hand_out, manifest_path, summary};
use crate::errors::SurfaceError;
use crate::output::{Format, busy};

/// How many lines of the file are shown: the header and two customers.
const SHOWN_LINES: usize = 3;
/// How many digits of a hash are shown.
const SHOWN_DIGITS: usize = 16;

/// Writes the audience of the June cart, and shows how it begins.
///
/// # Errors
/// What is wrong with the audience, or what the writing failed with.
pub(super) async fn june_cart_audience(page: &mut Page, corp: &Corp) -> anyhow::Result<()> {
    let started = Instant::now();
    let shown = busy("writing an audience");
    let audience = LoadedAudience::load(&corp.definitions, AUDIENCE)?;
    let view = corp.engine.view(audience.segment.segment.as_of, Access::Full).await?;
    let folder = corp.folder.join("audiences");
    let failed = |source| SurfaceError::Write { target: format!("`{}`", folder.display()), source };
    fs::create_dir_all(&folder).map_err(failed)?;
    let file = folder.join(format!("{AUDIENCE}.csv"));
    let manifest = hand_out(&view, &audience, &[], &file, Format::Csv).await?;
    let failed = |source| SurfaceError::Read { path: file.display().to_string(), source };
    let text = fs::read_to_string(&file).map_err(failed)?;
    drop(shown);
    page.section("An audience: S85 as a file to hand out", started.elapsed())?;
    for line in text.lines().take(SHOWN_LINES) {
        page.note(line)?;
    }
    page.line(&format!("→ {}", summary(&manifest)))?;
    page.line(&format!("→ {}", file.display()))?;
    page.line(&format!("→ {}", manifest_path(&file).display()))?;
    let hash = manifest.member_hash.get(..SHOWN_DIGITS).unwrap_or(&manifest.member_hash);
    page.note(&format!("The manifest says what this is: snapshot {}, members {hash}…", manifest.snapshot_id))
}

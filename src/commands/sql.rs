//! `tagmill sql`: a question in SQL.

use std::io::Read;
use std::path::Path;

use crate::cli::SqlArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::write_rows;

/// Answers a SELECT; nothing can be changed by it.
///
/// # Errors
/// `QueryError` for what does not parse, would change something, or exceeds a limit; usage for the output.
pub(crate) async fn run_sql(globals: &Globals, args: &SqlArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let sql = match (&args.sql, &args.file) {
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => read(file)?,
        (None, None) => {
            return Err(SurfaceError::usage("there is nothing to ask", "give a SELECT, or `-f FILE`").into());
        }
    };
    let engine = globals.open_engine(super::limits(&args.limits)).await?;
    let view = globals.view(&engine).await?;
    let rows = view.sql(&sql).await?;
    write_rows(rows, format, &args.output.destination()).await?;
    super::say_provenance(&view, view.events_until(&[]));
    Ok(())
}

/// Reads a file as text, and stdin for `-`.
fn read(file: &Path) -> Result<String, SurfaceError> {
    let failed = |source| SurfaceError::Read { path: file.display().to_string(), source };
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(failed)
}

//! `tagmill quarantine`: the input rows that were not taken.

use tagmill_query::Limits;

use crate::cli::QuarantineListArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::write_rows;

/// Counts the rejected rows by source, target table and code; or lists them, `raw` masked unless it is asked for.
///
/// # Errors
/// Usage, where another column than `raw` is to be unmasked; what the query failed with.
pub(crate) async fn list_quarantine(globals: &Globals, args: &QuarantineListArgs) -> anyhow::Result<()> {
    if let Some(column) = args.unmask.iter().find(|column| *column != "raw") {
        return Err(SurfaceError::usage(
            format!("`{column}` is no private column of the quarantine"),
            "the only one is `raw`, the row as it came",
        )
        .into());
    }
    let format = args.output.resolved_format()?;
    let sql = if args.rows { rows_sql(args) } else { counts_sql(args) };
    let engine = globals.open_engine(Limits::default()).await?;
    let view = globals.view(&engine).await?;
    let rows = view.sql(&sql).await?;
    write_rows(rows, format, &args.output.destination()).await?;
    super::say_provenance(&view, view.events_until(&[]));
    Ok(())
}

fn counts_sql(args: &QuarantineListArgs) -> String {
    let condition = condition(args);
    format!(
        "SELECT source, target, code, count(*) AS row_count, max(run) AS latest_run, min(reason) AS sample_reason
         FROM quarantine
         {condition}
         GROUP BY source, target, code
         ORDER BY source, target, code"
    )
}

fn rows_sql(args: &QuarantineListArgs) -> String {
    let condition = condition(args);
    let raw = if args.unmask.is_empty() { "CASE WHEN raw IS NOT NULL THEN '***' END" } else { "raw" };
    format!(
        "SELECT source, run, target, file, line, code, reason, {raw} AS raw
         FROM quarantine
         {condition}
         ORDER BY source, run, target, file, line"
    )
}

fn condition(args: &QuarantineListArgs) -> String {
    let wanted = [("source", &args.source), ("target", &args.target), ("code", &args.code)];
    let tests: Vec<String> = wanted
        .into_iter()
        .filter_map(|(column, value)| value.as_ref().map(|value| format!("{column} = {}", quoted(value))))
        .collect();
    if tests.is_empty() { String::new() } else { format!("WHERE {}", tests.join(" AND ")) }
}

/// A text as a SQL literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, QuarantineCommand};

    fn parsed(options: &[&str]) -> QuarantineListArgs {
        let words = ["tagmill", "quarantine", "list"].iter().chain(options);
        match Cli::try_parse_from(words).expect("a command").command {
            Command::Quarantine(QuarantineCommand::List(args)) => args,
            other => panic!("another command: {other:?}"),
        }
    }

    #[test]
    fn raw_rows_are_masked_unless_asked_for() {
        assert!(rows_sql(&parsed(&["--rows"])).contains("'***'"));
        assert!(!rows_sql(&parsed(&["--rows", "--unmask", "raw"])).contains("'***'"));
    }

    #[test]
    fn what_is_typed_stays_inside_its_literal() {
        let sql = counts_sql(&parsed(&["--source", "a' OR '1'='1", "--code", "BAD"]));
        assert!(sql.contains("WHERE source = 'a'' OR ''1''=''1' AND code = 'BAD'"), "{sql}");
    }
}

//! What the engine says of a failure, without its own scaffolding.

use datafusion::error::DataFusionError;

/// Prefixes that tell engine developers where an error was raised, and users nothing.
const PREFIXES: [&str; 7] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Execution error: ",
    "Arrow error: ",
    "Cast error: ",
    "This feature is not implemented: ",
];
/// The catalogue and schema that every table is in, which nobody writes.
const CATALOGUE: &str = "tagmill.public.";

/// The engine's words on a failure, fit for whoever wrote the statement.
///
/// Prefixes that name the engine's own stages are left out, and so is its advice on settings that nobody can reach.
pub fn engine_words(cause: &DataFusionError) -> String {
    let text = cause.strip_backtrace();
    let mut rest = text.as_str();
    while let Some(stripped) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = stripped;
    }
    let parser = rest.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")"));
    let lines = parser.unwrap_or(rest).lines().filter(|line| !line.contains("datafusion."));
    let text = lines.collect::<Vec<_>>().join("\n").replace(CATALOGUE, "");
    text.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_stages_and_settings_are_left_out() {
        let planned = DataFusionError::Plan("table 'tagmill.public.x' not found".to_owned());
        assert_eq!(engine_words(&planned), "table 'x' not found");
        let text = "No field named x.\nYou may disable the datafusion.sql_parser.y configuration.\nValid fields are a.";
        let cause = DataFusionError::Plan(text.to_owned());
        assert_eq!(engine_words(&cause), "No field named x.\nValid fields are a");
    }
}

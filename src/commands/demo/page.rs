//! How the demo looks: numbered sections on stdout for a terminal of 80 columns, with the time that each took.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::output::{Destination, TextTable, write_text};

/// How wide the page is, in character cells.
const WIDTH: usize = 80;
/// How far what is in a section stands from the edge.
const INDENT: usize = 3;
/// The lines of a table's heading: the heading itself and its rule.
const HEADING_LINES: usize = 2;

/// The demo's output while it grows.
pub(super) struct Page {
    has_style: bool,
    section_count: usize,
    started: Instant,
}

impl Page {
    /// Begins the page with its title.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn begin(title: &str, below: &str) -> anyhow::Result<Self> {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let has_style = std::io::stdout().is_terminal() && !is_plain;
        let page = Self { has_style, section_count: 0, started: Instant::now() };
        page.write(&format!("\n{}\n{}", page.bold(title), page.dim(below)))?;
        Ok(page)
    }

    /// Heads the next section; `took` is the time that its answers took.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn section(&mut self, title: &str, took: Duration) -> anyhow::Result<()> {
        self.section_count += 1;
        let number = format!("{:<INDENT$}", self.section_count);
        let time = seconds(took);
        let gap = WIDTH.saturating_sub(INDENT + title.chars().count() + time.len()).max(1);
        let heading = format!("{}{}{}", self.bold(&format!("{number}{title}")), " ".repeat(gap), self.dim(&time));
        self.write(&format!("\n{heading}"))
    }

    /// Writes a line of the section.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn line(&self, text: &str) -> anyhow::Result<()> {
        self.write(format!("{:INDENT$}{text}", "").trim_end())
    }

    /// Writes a line that explains, and may be skipped by the eye.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn note(&self, text: &str) -> anyhow::Result<()> {
        self.line(&self.dim(text))
    }

    /// Writes a line that may be long; it is broken between words.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn paragraph(&self, text: &str) -> anyhow::Result<()> {
        let mut table = TextTable::new([(String::new(), false)]);
        table.add_row(&[text.to_owned()]);
        let lines = table.lines(Some(inner_width()), 1);
        lines.iter().skip(HEADING_LINES).try_for_each(|line| self.line(line))
    }

    /// Writes a table with `gap` blanks between its columns, as wide as it is.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn table(&self, table: TextTable, gap: u16) -> anyhow::Result<()> {
        self.table_lines(&table.lines(None, gap))
    }

    /// Writes a table of which long texts are broken, so that it fits the page.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn fitting_table(&self, table: TextTable) -> anyhow::Result<()> {
        self.table_lines(&table.lines(Some(inner_width()), 2))
    }

    /// Ends the page.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn end(&self, text: &str) -> anyhow::Result<()> {
        let all = format!("{text} {}", self.dim(&format!("({} in all)", seconds(self.started.elapsed()))));
        self.write(&format!("\n{all}"))
    }

    fn table_lines(&self, lines: &[String]) -> anyhow::Result<()> {
        lines.iter().enumerate().try_for_each(
            |(place, line)| {
                if place < HEADING_LINES { self.note(line) } else { self.line(line) }
            },
        )
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        write_text(text, &Destination::Stdout)
    }

    fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.has_style { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The width that a section has inside the page.
fn inner_width() -> u16 {
    u16::try_from(WIDTH - INDENT).unwrap_or(u16::MAX)
}

/// `0.3 s`.
fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_tenths_of_a_second() {
        assert_eq!(seconds(Duration::from_millis(340)), "0.3 s");
        assert_eq!(seconds(Duration::from_secs(61)), "61.0 s");
    }

    #[test]
    fn what_is_too_long_is_broken_by_the_width_of_its_characters() {
        let mut table = TextTable::new([("tag".to_owned(), false), ("why".to_owned(), false)]);
        table.add_row(&["活动/双11意向客户2023".to_owned(), "words ".repeat(30).trim_end().to_owned()]);
        let lines = table.wrapping_only(1).lines(Some(40), 2);
        assert!(lines.len() > 5, "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("活动/双11意向客户2023  words")), "{lines:?}");
    }
}

//! Arguments of `tagmill import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tagmill_schemas::documents::import::ImportOn;
use tagmill_schemas::segment::TagRef;

use super::values;
use crate::output::ObjectFormat;

/// What to import, and what becomes of it.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The list: CSV or .xlsx, one customer a row
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The tag that the customers get: GROUP/TAG or '{id: TAG_ID}'; may be given several times
    #[arg(long = "tag", value_name = "GROUP/TAG", required = true, value_parser = values::parse_tag)]
    pub(crate) tags: Vec<TagRef>,

    /// Which follows of a customer get it, where the customer's row names no staff member
    #[arg(long, value_enum, default_value_t = OnArg::Owner)]
    pub(crate) on: OnArg,

    /// Only customers who are in this segment
    #[arg(long, value_name = "NAME-or-FILE")]
    pub(crate) segment: Option<String>,

    /// The column of customers [default: the one with a usual name]
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Option<String>,

    /// The column of staff members [default: the one with a usual name, if there is one]
    #[arg(long, value_name = "NAME")]
    pub(crate) staff_column: Option<String>,

    /// What the import is called: it holds its tags as `import:NAME` [default: the file's name without its ending]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Where the rows that were not matched go, as CSV [default: FILE.errors.csv, where there are any]
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,

    /// `table` for people, `json` for programs
    #[arg(long, value_enum, default_value_t = ObjectFormat::Table)]
    pub(crate) format: ObjectFormat,
}

/// Which follows of a customer are tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum OnArg {
    /// The follow that owns the customer
    Owner,
    /// Every active follow
    AllActive,
    /// No follow: the tag is the customer's own
    Customer,
}

impl From<OnArg> for ImportOn {
    fn from(on: OnArg) -> Self {
        match on {
            OnArg::Owner => Self::Owner,
            OnArg::AllActive => Self::AllActive,
            OnArg::Customer => Self::Customer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_option_are_those_of_documents() {
        for on in OnArg::value_variants() {
            let word = on.to_possible_value().expect("a visible value");
            assert_eq!(word.get_name(), ImportOn::from(*on).as_str());
        }
        assert_eq!(OnArg::value_variants().len(), ImportOn::WORDS.len());
    }
}

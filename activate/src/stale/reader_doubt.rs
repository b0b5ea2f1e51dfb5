//! What keeps a tag that nothing was seen to read from being certainly unread.

use super::Sentence;
use super::wording::listed;

/// How many definitions a sentence names.
const SHOWN: usize = 3;

/// Why a tag that no definition was seen to read may be read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderDoubt {
    /// No folder of definitions was looked into.
    NoDefinitions,
    /// Files that could be read neither as a segment, nor as a rule, nor as an audience, by name.
    Unreadable(Vec<String>),
    /// Segments and rules that ask in SQL, which may read any tag, by name.
    AsksInSql(Vec<String>),
}

impl ReaderDoubt {
    /// The doubt in both languages, for the reader of a report.
    pub fn sentence(&self) -> Sentence {
        match self {
            Self::NoDefinitions => Sentence::new(
                "No folder of definitions was looked into, so that being unread is possible and not certain.",
                "未查看任何定义目录，因此“无人引用”只是可能，尚不能确定。",
            ),
            Self::Unreadable(names) => {
                let (english, chinese) = named(names);
                Sentence::new(
                    format!(
                        "{english} could not be read as a segment, a rule or an audience, so that being unread is possible \
                         and not certain."
                    ),
                    format!("{chinese}无法作为分群、规则或人群读取，因此“无人引用”只是可能，尚不能确定。"),
                )
            }
            Self::AsksInSql(names) => {
                let (english, chinese) = named(names);
                Sentence::new(
                    format!(
                        "{english}: asked in SQL, which may read any tag, so that being unread is possible and not certain."
                    ),
                    format!("{chinese}使用 SQL，可能用到任何标签，因此“无人引用”只是可能，尚不能确定。"),
                )
            }
        }
    }
}

fn named(names: &[String]) -> (String, String) {
    let (english, more) = listed(names, SHOWN, ("“", "”"), ", ");
    let (chinese, _) = listed(names, SHOWN, ("“", "”"), "、");
    match more {
        0 => (english, chinese),
        more => (format!("{english} and {more} more"), format!("{chinese}等 {} 个定义", names.len())),
    }
}

//! Error kinds, hints and the retry flag that every error of the house carries.
//!
//! Each crate has its own error enum; what they share is [`Diagnose`]. The edges map kinds to an exit code, an HTTP status
//! or an SQLSTATE in one place each, and never look at a message.

use serde::{Deserialize, Serialize};

/// What an error means to whoever has to act on it: one closed list for the whole house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The call itself is wrong: an unknown option, a missing argument.
    Usage,
    /// The data or document was understood and is not acceptable.
    InvalidInput,
    /// What was named does not exist.
    NotFound,
    /// A guard or a policy said no; nothing was changed.
    Refused,
    /// Somebody else is at it: a second writer, a changed plan.
    Conflict,
    /// A limit of time, memory or size was reached.
    Limit,
    /// Storage or network failed; the state is as before.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// Tells whether the same call may succeed later without a change by the caller.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Conflict | Self::Limit | Self::Unavailable)
    }
}

/// What every error of the house can say beside its message.
pub trait Diagnose: std::error::Error {
    /// The kind of the error, from the closed list.
    fn kind(&self) -> ErrorKind;

    /// A stable machine-readable code in capitals, such as `TAG_UNKNOWN`.
    fn code(&self) -> &'static str;

    /// What to do about it, as a sentence for the person who made the call.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Whether the same call may succeed later unchanged.
    fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }
}

/// Returns the candidates that look most like `wanted`, best first, at most three.
///
/// Similarity is Jaro–Winkler on case-folded text; a name that holds the other counts as alike, so that `VIP` finds
/// `会员等级/VIP`. Nothing is like an empty name.
pub fn near_names<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted = wanted.trim().to_lowercase();
    if wanted.is_empty() {
        // Every name holds the empty one, which would make all of them alike.
        return Vec::new();
    }
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let folded = candidate.to_lowercase();
            let contained = folded.contains(&wanted) || (!folded.is_empty() && wanted.contains(&folded));
            let alike = strsim::jaro_winkler(&wanted, &folded);
            let score = if contained { alike.max(0.8) } else { alike };
            (score > 0.7).then_some((score, candidate))
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// Renders near names as the tail of a hint: ``did you mean `a` or `b`?``; empty where there are none.
pub fn did_you_mean(names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Some(format!("did you mean {}?", quoted.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_finds_the_whole_name() {
        assert_eq!(near_names("VIP", ["会员等级/VIP", "来源渠道/视频号"]), ["会员等级/VIP"]);
    }

    #[test]
    fn nothing_is_like_an_empty_name() {
        assert_eq!(near_names("", ["=", "!=", "in"]), Vec::<String>::new());
        assert_eq!(near_names(" ", ["a b"]), Vec::<String>::new());
        assert_eq!(near_names("VIP", [""]), Vec::<String>::new());
    }

    #[test]
    fn nothing_alike_gives_no_suggestion() {
        assert_eq!(did_you_mean(&near_names("zzz", ["customer", "event"])), None);
    }
}

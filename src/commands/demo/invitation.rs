//! What to try next: lines that can be pasted as they are.

use std::net::SocketAddr;

use super::page::Page;
use crate::globals::Globals;
use crate::output::say;

/// A question in SQL as the body of a request.
const QUESTION: &str = r#"{"sql": "SELECT type, count(*) AS events FROM event GROUP BY type ORDER BY events DESC"}"#;
/// Where the warehouse is unless told otherwise.
const DEFAULT_LOCATION: &str = "./warehouse";

/// Says where the answers are served, and three requests to try.
pub(super) fn by_http(address: SocketAddr) {
    let base = format!("http://{address}/api/v1");
    let group = percent_encoded("group:来源渠道");
    say(format!("\nServing on http://{address}; ctrl-c ends it. Try, in another terminal:"));
    say(format!("  curl '{base}/crosstab?rows={group}&cols=activity_band'"));
    say(format!("  curl '{base}/segments/s85_june_cart_no_pay/count'"));
    say(format!("  curl {base}/sql -H 'content-type: application/json' -d '{QUESTION}'"));
}

/// Shows three commands to go on with.
///
/// # Errors
/// What the writing failed with.
pub(super) fn by_command_line(page: &Page, globals: &Globals) -> anyhow::Result<()> {
    let program = std::env::args().next().map_or_else(|| "tagmill".to_owned(), |name| shell_word(&name));
    let start = match globals.location.as_str() {
        DEFAULT_LOCATION => program,
        other => format!("{program} --warehouse {}", shell_word(other)),
    };
    page.line("")?;
    page.line("Look again:")?;
    page.line(&format!("{start} segment explain s81_channel_active"))?;
    page.line(&format!("{start} crosstab --rows group:来源渠道 --cols spend_band"))?;
    page.line(&format!("{start} serve"))
}

/// A text as a shell takes it for one word.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+=".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A text as a value in the query of a URL. Colons may stay as they are there.
fn percent_encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    let encoded = |byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_in_a_url_can_be_pasted() {
        assert_eq!(percent_encoded("group:来源渠道"), "group:%E6%9D%A5%E6%BA%90%E6%B8%A0%E9%81%93");
    }

    #[test]
    fn a_folder_with_a_blank_is_one_word() {
        assert_eq!(shell_word("./my corp's"), r"'./my corp'\''s'");
        assert_eq!(shell_word("target/debug/tagmill"), "target/debug/tagmill");
    }
}

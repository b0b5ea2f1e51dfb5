//! Which column of an upload holds what, by the names that people and exports give them.

use unicode_normalization::UnicodeNormalization;

/// Names of the column of customers, folded.
const CUSTOMER: [&str; 14] = [
    "customerid",
    "customer",
    "externaluserid",
    "externalid",
    "externalcontactid",
    "客户id",
    "客户编号",
    "客户号",
    "客户userid",
    "外部联系人id",
    "外部联系人userid",
    "外部联系人编号",
    "外部用户id",
    "外部客户id",
];

/// Names of the column of name spaces, folded: our own exports have one.
const ID_SPACE: [&str; 1] = ["idspace"];

/// Names of the column of staff members, folded. WeCom calls a staff member's id `userid`.
const STAFF: [&str; 22] = [
    "staffid",
    "staff",
    "userid",
    "followuserid",
    "员工id",
    "员工账号",
    "员工帐号",
    "员工编号",
    "员工userid",
    "所属员工id",
    "跟进员工id",
    "成员id",
    "成员账号",
    "成员帐号",
    "成员userid",
    "企业成员id",
    "企业成员userid",
    "跟进人id",
    "跟进人账号",
    "跟进人帐号",
    "添加人账号",
    "添加人帐号",
];

/// The columns as whoever uploads names them; what is not named is found by its usual names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadColumns {
    /// The column of customers.
    pub customer: Option<String>,
    /// The column of staff members.
    pub staff: Option<String>,
}

/// Where the columns stand, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) customer: usize,
    pub(super) id_space: Option<usize>,
    pub(super) staff: Option<usize>,
}

/// What is wrong with a header: the reason, as the end of a sentence about the file, and advice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadHeader {
    pub(super) reason: String,
    pub(super) advice: String,
}

impl Places {
    /// Finds the columns in a header.
    ///
    /// # Errors
    /// Where a named column is not there, where none is known to hold customers, and where several could.
    pub(super) fn find(header: &[&str], named: &UploadColumns) -> Result<Self, BadHeader> {
        let folded: Vec<String> = header.iter().map(|name| fold(name)).collect();
        let customer = match &named.customer {
            Some(name) => by_name(header, name, "--column")?,
            None => by_usual_names(header, &folded, &CUSTOMER, "--column")?.ok_or_else(|| unknown(header))?,
        };
        let staff = match &named.staff {
            Some(name) => Some(by_name(header, name, "--staff-column")?),
            // What was named as the column of customers may be one that usually holds something else.
            None => by_usual_names(header, &folded, &STAFF, "--staff-column")?.filter(|place| *place != customer),
        };
        let id_space = folded.iter().position(|name| ID_SPACE.contains(&name.as_str()));
        Ok(Self { customer, id_space: id_space.filter(|place| *place != customer), staff })
    }

    /// Whether a column is one of them.
    pub(super) fn contains(&self, column: usize) -> bool {
        column == self.customer || self.id_space == Some(column) || self.staff == Some(column)
    }
}

/// The column of exactly that name, else the one whose name differs in its writing only.
fn by_name(header: &[&str], name: &str, option: &str) -> Result<usize, BadHeader> {
    let places = |is_it: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..header.len()).filter(|place| is_it(header[*place])).collect()
    };
    let exact = places(&|found: &str| found.trim() == name.trim());
    let wanted = fold(name);
    let alike = if exact.is_empty() { places(&|found: &str| fold(found) == wanted) } else { exact };
    match alike.as_slice() {
        [place] => Ok(*place),
        [] => Err(BadHeader { reason: format!("has no column `{name}`"), advice: listed(header) }),
        _ => Err(BadHeader {
            reason: format!("has several columns `{name}`"),
            advice: format!("give the one that is meant a name of its own; `{option}` then names it"),
        }),
    }
}

/// The one column that has one of these names; `None` where none has.
fn by_usual_names(
    header: &[&str],
    folded: &[String],
    names: &[&str],
    option: &str,
) -> Result<Option<usize>, BadHeader> {
    let places: Vec<usize> = (0..folded.len()).filter(|place| names.contains(&folded[*place].as_str())).collect();
    match places.as_slice() {
        [] => Ok(None),
        [place] => Ok(Some(*place)),
        several => {
            let names: Vec<String> = several.iter().map(|place| format!("`{}`", header[*place].trim())).collect();
            let reason = format!("has several columns for one thing: {}", names.join(", "));
            Err(BadHeader { reason, advice: format!("`{option} NAME` says which is meant") })
        }
    }
}

fn unknown(header: &[&str]) -> BadHeader {
    let reason = "has no column that is known to hold customers, such as `customer_id` or `客户ID`".to_owned();
    BadHeader { reason, advice: format!("`--column NAME` says which it is; {}", listed(header)) }
}

/// What columns there are, as far as a person reads on.
fn listed(header: &[&str]) -> String {
    const SHOWN: usize = 20;
    let filled = || header.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    let names: Vec<String> = filled().take(SHOWN).map(|name| format!("`{}`", shortened(name))).collect();
    let more = filled().count().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("its columns are {}{rest}", names.join(", "))
}

/// A name, cut where it is too long to be one.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 40;
    if name.chars().count() <= LONGEST { name.to_owned() } else { name.chars().take(LONGEST).chain(['…']).collect() }
}

/// A name without what people write differently: case, width, blanks, `_` and `-`, and remarks in brackets.
fn fold(name: &str) -> String {
    let compatible: String = name.nfkc().collect();
    let before_remark = compatible.split('(').next().unwrap_or_default();
    before_remark.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where customer, name space and staff member are found without being named.
    fn check(header: &[&str], expected: (usize, Option<usize>, Option<usize>)) {
        let places = Places::find(header, &UploadColumns::default()).expect("a header");
        assert_eq!((places.customer, places.id_space, places.staff), expected, "{header:?}");
    }

    /// What is said where nothing is named.
    fn refused(header: &[&str]) -> BadHeader {
        Places::find(header, &UploadColumns::default()).expect_err("a header that will not do")
    }

    #[test]
    fn columns_are_known_by_their_usual_names_in_english_and_chinese() {
        check(&["customer_id"], (0, None, None));
        check(&["external_userid", "userid"], (0, None, Some(1)));
        check(&["id_space", "customer_id"], (1, Some(0), None));
        check(&["备注", " 客户ＩＤ（必填） ", "员工 ID"], (1, None, Some(2)));
        check(&["外部联系人ID", "添加人帐号"], (0, None, Some(1)));
        check(&["External-UserId", "Staff ID"], (0, None, Some(1)));
    }

    #[test]
    fn a_column_that_is_named_is_taken_for_what_it_is_named_for() {
        let named = |customer: &str, staff: Option<&str>| UploadColumns {
            customer: Some(customer.to_owned()),
            staff: staff.map(str::to_owned),
        };
        let header = ["userid", "customer_id", "谁"];
        let places = Places::find(&header, &named("userid", None)).expect("a header");
        assert_eq!((places.customer, places.staff), (0, None));
        let places = Places::find(&header, &named("Customer ID", Some("谁"))).expect("a header");
        assert_eq!((places.customer, places.staff), (1, Some(2)));
        let missing = Places::find(&header, &named("who", None)).expect_err("no such column");
        assert_eq!(missing.reason, "has no column `who`");
        assert_eq!(missing.advice, "its columns are `userid`, `customer_id`, `谁`");
    }

    #[test]
    fn a_header_that_leaves_it_open_is_refused_with_what_there_is() {
        assert!(refused(&["姓名", "手机"]).advice.contains("its columns are `姓名`, `手机`"));
        let several = refused(&["customer_id", "客户ID"]);
        assert_eq!(several.reason, "has several columns for one thing: `customer_id`, `客户ID`");
        assert_eq!(several.advice, "`--column NAME` says which is meant");
        let many: Vec<String> = (0..10_000).map(|number| format!("c{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(refused(&many).advice.ends_with("`c19` and 9980 more"));
    }
}

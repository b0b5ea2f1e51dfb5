//! The columns of every table. What a NULL says stands beside the column that may hold it.

use super::{Column, ColumnType, Domain, Filled, Table};

/// Declares a column that a source's SELECT may give.
const fn given(name: &'static str, ty: ColumnType, null_means: Option<&'static str>, doc: &'static str) -> Column {
    Column { name, ty, null_means, is_private: false, filled: Filled::BySource, domain: None, doc }
}

/// Declares a private column that a source's SELECT may give.
const fn private(name: &'static str, ty: ColumnType, null_means: Option<&'static str>, doc: &'static str) -> Column {
    Column { is_private: true, ..given(name, ty, null_means, doc) }
}

/// Declares a column that the warehouse fills.
const fn made(name: &'static str, ty: ColumnType, null_means: Option<&'static str>, doc: &'static str) -> Column {
    Column { filled: Filled::ByWarehouse, ..given(name, ty, null_means, doc) }
}

/// Declares a private column that the warehouse fills.
const fn made_private(
    name: &'static str,
    ty: ColumnType,
    null_means: Option<&'static str>,
    doc: &'static str,
) -> Column {
    Column { is_private: true, ..made(name, ty, null_means, doc) }
}

/// Narrows a column to the values of a domain.
const fn within(domain: Domain, column: Column) -> Column {
    Column { domain: Some(domain), ..column }
}

/// Where a tag or a tag group comes from.
const TAG_KINDS: Domain = Domain::Words(&["corp", "rule_group", "personal", "computed"]);

const VALID_FROM: Column =
    made("valid_from", ColumnType::Timestamp, None, "the taken_at of the snapshot that first listed it, UTC");

/// [`VALID_FROM`] where rows may not be dated.
const VALID_FROM_IF_DATED: Column = Column { null_means: Some("not dated"), ..VALID_FROM };

const VALID_TO: Column = made(
    "valid_to",
    ColumnType::Timestamp,
    Some("still listed"),
    "the taken_at of the snapshot that no longer listed it, UTC",
);

/// The contract of the table of that name.
pub fn contract(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// Every table of the warehouse.
pub const TABLES: &[Table] = &[
    CUSTOMER,
    FOLLOW,
    STAFF,
    DEPARTMENT,
    TAG_GROUP,
    TAG,
    ASSIGNMENT_LOG,
    EVENT,
    UNMATCHED_EVENT,
    ID_MAP,
    GROUP_CHAT,
    GROUP_MEMBER,
    QUARANTINE,
    SNAPSHOT,
];

const CUSTOMER: Table = Table {
    name: "customer",
    row_is: "a customer",
    is_extensible: true,
    is_bucketed: true,
    columns: &[
        made("customer_no", ColumnType::Int64, None, "dense number below 2³², given once, never reused"),
        made("id_space", ColumnType::Text, None, "the corp or shop that gave the id"),
        given("customer_id", ColumnType::Text, None, "the outside id (WeCom `external_userid`)"),
        private("name", ColumnType::Text, Some("not told"), "the name the customer goes by"),
        given("kind", ColumnType::Text, Some("not told"), "`wechat`, `wecom` or the source's own word"),
        given("gender", ColumnType::Text, Some("not told"), "`male`, `female` or the source's own word"),
        within(
            Domain::Range(1900, 2100),
            given("birth_year", ColumnType::Int32, Some("not told"), "year of birth, 1900 to 2100"),
        ),
        within(
            Domain::Range(1, 12),
            given("birth_month", ColumnType::Int32, Some("not told"), "month of birth, 1 to 12"),
        ),
        within(Domain::Range(1, 31), given("birth_day", ColumnType::Int32, Some("not told"), "day of birth, 1 to 31")),
        given("province", ColumnType::Text, Some("not told"), "province or region"),
        given("city", ColumnType::Text, Some("not told"), "city"),
        given("member_level", ColumnType::Text, Some("not told"), "membership level as the source names it"),
        given("first_channel", ColumnType::Text, Some("not told"), "the channel of the first touch"),
        given("latest_channel", ColumnType::Text, Some("not told"), "the channel of the latest touch"),
        given("created_at", ColumnType::Timestamp, Some("not told"), "when the customer was first known, UTC"),
        given("lost_at", ColumnType::Timestamp, Some("not lost, as far as known"), "when the customer was lost, UTC"),
        private("unionid", ColumnType::Text, Some("not told"), "the person's id across one owner's WeChat apps"),
        private("mobile", ColumnType::Text, Some("not told"), "mobile number as the source gives it"),
        made("source", ColumnType::Text, None, "the source that brought the customer first"),
    ],
};

const FOLLOW: Table = Table {
    name: "follow",
    row_is: "one staff member's relation to one customer, for ever",
    is_extensible: false,
    is_bucketed: true,
    columns: &[
        made("follow_no", ColumnType::Int64, None, "dense number below 2³², kept when the customer is added again"),
        given("staff_id", ColumnType::Text, None, "the staff member (WeCom `userid`)"),
        made("customer_no", ColumnType::Int64, None, "the customer"),
        given("added_at", ColumnType::Timestamp, Some("not told"), "when the staff member added the customer, UTC"),
        given("add_way", ColumnType::Text, Some("not told"), "how the customer was added"),
        given("state", ColumnType::Text, Some("none given"), "the channel mark of the contact way"),
        given("channel", ColumnType::Text, Some("not told"), "the channel the follow came from"),
        private("remark", ColumnType::Text, Some("none written"), "the staff member's note"),
        within(
            Domain::Words(&["active", "half", "left", "ended"]),
            given(
                "status",
                ColumnType::Text,
                None,
                "`active`, `half`, `left` (the customer deleted the staff member) or `ended` (no longer listed)",
            ),
        ),
        made("ended_cause", ColumnType::Text, Some("not ended"), "why an ended follow ended"),
        given(
            "is_owner",
            ColumnType::Bool,
            None,
            "whether this follow owns the customer; exactly one does per followed customer",
        ),
        made("source", ColumnType::Text, None, "the source that brought the follow"),
    ],
};

const STAFF: Table = Table {
    name: "staff",
    row_is: "a staff member",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        given("staff_id", ColumnType::Text, None, "the staff member (WeCom `userid`)"),
        private("name", ColumnType::Text, Some("not told"), "name"),
        given("department_id", ColumnType::Text, Some("not told"), "the department the staff member belongs to"),
        given("is_active", ColumnType::Bool, Some("not told"), "whether the staff member still works there"),
        VALID_FROM_IF_DATED,
        VALID_TO,
        made("source", ColumnType::Text, None, "the source that brought the row"),
    ],
};

const DEPARTMENT: Table = Table {
    name: "department",
    row_is: "a department",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        given("department_id", ColumnType::Text, None, "the department's id"),
        given("parent_department_id", ColumnType::Text, Some("a root of the tree"), "the department above"),
        given("name", ColumnType::Text, Some("not told"), "name"),
        VALID_FROM_IF_DATED,
        VALID_TO,
        made("source", ColumnType::Text, None, "the source that brought the row"),
    ],
};

const TAG_GROUP: Table = Table {
    name: "tag_group",
    row_is: "a group of tags, dated",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        made("group_id", ColumnType::Text, None, "the group's id, ours for ever"),
        given("upstream_id", ColumnType::Text, Some("not known upstream"), "the id upstream"),
        given("group_name", ColumnType::Text, None, "the group's name"),
        within(
            TAG_KINDS,
            given("kind", ColumnType::Text, Some("not told"), "`corp`, `rule_group`, `personal` or `computed`"),
        ),
        VALID_FROM,
        VALID_TO,
        made("source", ColumnType::Text, None, "the source that brought the row"),
    ],
};

const TAG: Table = Table {
    name: "tag",
    row_is: "a tag, dated",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        given("tag_id", ColumnType::Text, None, "the tag's id, ours for ever"),
        given("upstream_id", ColumnType::Text, Some("not known upstream"), "the id upstream"),
        made("group_id", ColumnType::Text, None, "the group it belongs to"),
        given("group_name", ColumnType::Text, None, "the group's name"),
        given("tag_name", ColumnType::Text, None, "the tag's name"),
        given("parent_tag_id", ColumnType::Text, Some("a root of the tree"), "the tag above"),
        within(
            TAG_KINDS,
            given("kind", ColumnType::Text, Some("not told"), "`corp`, `rule_group`, `personal` or `computed`"),
        ),
        within(
            Domain::Words(&["temporary", "long_term"]),
            given("class", ColumnType::Text, Some("not told"), "`temporary` or `long_term`"),
        ),
        given("created_at", ColumnType::Timestamp, Some("not told"), "when the tag was made, UTC"),
        given("is_protected", ColumnType::Bool, Some("not protected"), "kept out of cleanup and of bulk removal"),
        given(
            "valid_until",
            ColumnType::Timestamp,
            Some("no end set by its owner"),
            "when its owner says it ends, UTC",
        ),
        given("flow", ColumnType::Text, Some("none named"), "the service flow that the tag calls for"),
        given("may_mark", ColumnType::Bool, Some("may be marked"), "whether we may put it on a follow"),
        given("may_edit_definition", ColumnType::Bool, Some("may not be edited"), "whether we may rename or delete it"),
        VALID_FROM,
        VALID_TO,
        made("source", ColumnType::Text, None, "the source that brought the row"),
    ],
};

const ASSIGNMENT_LOG: Table = Table {
    name: "assignment_log",
    row_is: "a tag opened, renewed or closed",
    is_extensible: false,
    is_bucketed: true,
    columns: &[
        made("customer_no", ColumnType::Int64, None, "the customer"),
        made("follow_no", ColumnType::Int64, Some("a customer-level assignment"), "the follow that holds the tag"),
        given("tag_id", ColumnType::Text, None, "the tag"),
        within(
            Domain::Words(&["open", "renew", "close"]),
            made("op", ColumnType::Text, None, "`open`, `renew` or `close`"),
        ),
        made("cause", ColumnType::Text, None, "`listed`, `unlisted`, or the id of the plan that changed it"),
        made("source", ColumnType::Text, None, "who holds it: a source's name, `rule:ID` or `import:NAME`"),
        given(
            "assigned_at",
            ColumnType::Timestamp,
            Some("the source does not know"),
            "when the tag was given, where the source knows, UTC",
        ),
        made(
            "seen_after",
            ColumnType::Timestamp,
            Some("no earlier bound is known"),
            "it happened at this instant or later, UTC",
        ),
        made("seen_by", ColumnType::Timestamp, None, "it had happened by this instant, UTC"),
        made(
            "upstream_since",
            ColumnType::Timestamp,
            Some("not known to be held upstream"),
            "since when the source lists what a rule holds, because we put it there, UTC",
        ),
        made("snapshot_id", ColumnType::Int64, None, "the snapshot that wrote the row"),
    ],
};

const EVENT: Table = Table {
    name: "event",
    row_is: "a dated conversion or behaviour fact",
    is_extensible: true,
    is_bucketed: true,
    columns: &[
        made("source", ColumnType::Text, None, "the source that brought it; key with event_id"),
        given("event_id", ColumnType::Text, None, "the source's id of it"),
        made("customer_no", ColumnType::Int64, None, "the customer"),
        given("type", ColumnType::Text, None, "what happened"),
        given("occurred_at", ColumnType::Timestamp, None, "when it happened, UTC"),
        made("ingested_at", ColumnType::Timestamp, None, "when the run that brought it began to read, UTC"),
        given("channel", ColumnType::Text, Some("not told"), "the channel it came by"),
        given("amount", ColumnType::Money, Some("no money in it"), "exact amount in `currency`, negative for a refund"),
        given("currency", ColumnType::Text, Some("no money in it"), "ISO 4217 code"),
        given("duration_seconds", ColumnType::Int64, Some("no duration"), "how long it took, seconds"),
        given("ref", ColumnType::Text, Some("none"), "what it was about: sku, document, course"),
        private("properties", ColumnType::Text, Some("none"), "further properties as JSON text"),
        made("content_hash", ColumnType::Int64, None, "hash of the source's values, to tell a repeat from a conflict"),
    ],
};

const UNMATCHED_EVENT: Table = Table {
    name: "unmatched_event",
    row_is: "an event whose person is not known yet",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        made("source", ColumnType::Text, None, "the source that brought it"),
        given("event_id", ColumnType::Text, None, "the source's id of it"),
        made("id_space", ColumnType::Text, None, "the space of the id"),
        given("customer_id", ColumnType::Text, Some("named by another id"), "the outside id that is not known"),
        private("unionid", ColumnType::Text, Some("not told"), "the person's id across one owner's WeChat apps"),
        private("mobile", ColumnType::Text, Some("not told"), "mobile number as the source gives it"),
        private("mobile_sha256", ColumnType::Text, Some("not told"), "SHA-256 of the mobile number's digits, in hex"),
        private("mobile_md5", ColumnType::Text, Some("not told"), "MD5 of the mobile number's digits, in hex"),
        given("platform", ColumnType::Text, Some("not told"), "the platform of `platform_id`"),
        private("platform_id", ColumnType::Text, Some("not told"), "the id on that platform"),
        made_private("content", ColumnType::Text, None, "the event as JSON text; instants in microseconds since 1970"),
        made("content_hash", ColumnType::Int64, None, "the hash that the event will have"),
        made("ingested_at", ColumnType::Timestamp, None, "when the run that brought it began to read, UTC"),
    ],
};

const ID_MAP: Table = Table {
    name: "id_map",
    row_is: "the same person on another platform",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        given("platform", ColumnType::Text, None, "the platform"),
        private("platform_id", ColumnType::Text, None, "the id there"),
        made("customer_no", ColumnType::Int64, None, "the customer"),
        made("source", ColumnType::Text, None, "the source that brought the row"),
    ],
};

const GROUP_CHAT: Table = Table {
    name: "group_chat",
    row_is: "a customer group",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        given("chat_id", ColumnType::Text, None, "the group's id"),
        given("name", ColumnType::Text, Some("not told"), "name"),
        given("owner_staff_id", ColumnType::Text, Some("not told"), "the staff member who owns it"),
        given("created_at", ColumnType::Timestamp, Some("not told"), "when it was made, UTC"),
        made("source", ColumnType::Text, None, "the source that brought the row"),
    ],
};

const GROUP_MEMBER: Table = Table {
    name: "group_member",
    row_is: "a customer in a customer group",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        given("chat_id", ColumnType::Text, None, "the group"),
        made("customer_no", ColumnType::Int64, None, "the customer"),
        given("joined_at", ColumnType::Timestamp, Some("not told"), "when the customer joined, UTC"),
        given("join_way", ColumnType::Text, Some("not told"), "how the customer joined"),
        made("source", ColumnType::Text, None, "the source that brought the row"),
    ],
};

const QUARANTINE: Table = Table {
    name: "quarantine",
    row_is: "an input row that was not taken, with the reason",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        made("source", ColumnType::Text, None, "the source"),
        made("run", ColumnType::Int64, None, "the snapshot that the run published"),
        made(
            "target",
            ColumnType::Text,
            None,
            "the table the row was meant for; the raw table of a row that could not be read (`RAW_…`)",
        ),
        made("file", ColumnType::Text, Some("the SELECT is not row-wise"), "the raw file"),
        made(
            "line",
            ColumnType::Int64,
            Some("the SELECT is not row-wise"),
            "the line (CSV) or row (Parquet) in the file, from 1",
        ),
        made("code", ColumnType::Text, None, "why, as a stable code"),
        made("reason", ColumnType::Text, None, "why, in words"),
        made_private("raw", ColumnType::Text, Some("nothing could be kept"), "the row as it came"),
    ],
};

const SNAPSHOT: Table = Table {
    name: "snapshot",
    row_is: "the ledger: one published state",
    is_extensible: false,
    is_bucketed: false,
    columns: &[
        made("snapshot_id", ColumnType::Int64, None, "the snapshot"),
        made("parent_snapshot_id", ColumnType::Int64, Some("the first snapshot"), "the snapshot before"),
        made("published_at", ColumnType::Timestamp, None, "when it was published, UTC"),
        made("read_from", ColumnType::Timestamp, None, "when the run began to read its source, UTC"),
        made("read_until", ColumnType::Timestamp, None, "when the run ended reading its source, UTC"),
        made("taken_at", ColumnType::Timestamp, None, "the later of its own and its parent's read_until, UTC"),
        made("source", ColumnType::Text, None, "the source of the run, `rule:ID`, `import:NAME` or `compaction`"),
        made("tables", ColumnType::Text, None, "JSON object: table to Delta version"),
        made("row_counts", ColumnType::Text, None, "JSON object: table to rows"),
        made("guard", ColumnType::Text, None, "JSON array: what the shrink guard saw"),
        made("latest_events", ColumnType::Text, None, "JSON object: source to the latest occurred_at, RFC 3339"),
        made("sources", ColumnType::Text, None, "JSON object: source to what it fills and the hash of its last input"),
    ],
};

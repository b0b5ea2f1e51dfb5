//! The classes of staleness: their codes, names and meanings, in both languages.

use super::Sentence;

/// One reason to call a tag stale. The order is that of weight: the owner's word first, mere disuse last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StaleClass {
    /// The end its owner set has passed.
    Expired,
    /// Its name bears a date or a campaign that has passed.
    CampaignPassed,
    /// Nobody was given it for longer than the limit.
    NotRenewed,
    /// It is deleted, and customers still hold it.
    Orphan,
    /// No customer holds it.
    Unused,
    /// Another living tag says the same.
    DuplicateMeaning,
    /// No segment and no rule reads it.
    Unread,
}

impl StaleClass {
    /// Every class, by weight.
    pub const ALL: [Self; 7] = [
        Self::Expired,
        Self::CampaignPassed,
        Self::NotRenewed,
        Self::Orphan,
        Self::Unused,
        Self::DuplicateMeaning,
        Self::Unread,
    ];

    /// The stable code, as JSON and the page's class names use it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::CampaignPassed => "campaign_passed",
            Self::NotRenewed => "not_renewed",
            Self::Orphan => "orphan",
            Self::Unused => "unused",
            Self::DuplicateMeaning => "duplicate_meaning",
            Self::Unread => "unread",
        }
    }

    /// The name in English and Chinese.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Expired => ("Expired", "已到期"),
            Self::CampaignPassed => ("Campaign passed", "活动已过"),
            Self::NotRenewed => ("Not renewed", "久未更新"),
            Self::Orphan => ("Orphan", "已删仍在用"),
            Self::Unused => ("Unused", "无人持有"),
            Self::DuplicateMeaning => ("Duplicate meaning", "含义重复"),
            Self::Unread => ("Unread", "无人引用"),
        }
    }

    /// The meaning in English and Chinese, one short sentence each.
    pub fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Expired => ("The end its owner set has passed.", "负责人设定的有效期已过。"),
            Self::CampaignPassed => ("The date in its name has passed.", "名称中的日期或活动已经过去。"),
            Self::NotRenewed => ("Nobody was given it within the limit.", "超过期限没有再给任何客户打过。"),
            Self::Orphan => ("The tag is deleted, yet still held.", "标签已删除，仍有客户持有。"),
            Self::Unused => ("No customer holds it.", "没有客户持有。"),
            Self::DuplicateMeaning => ("Another living tag says the same.", "另有标签与它同名。"),
            Self::Unread => ("No segment and no rule reads it.", "没有分群或规则用到它。"),
        }
    }
}

/// How sure a class is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// It holds whatever happened between the known instants.
    Certain,
    /// It holds for some of what can have happened.
    Possible,
}

impl Certainty {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Possible => "possible",
        }
    }
}

/// A class that a tag was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassFound {
    /// The class.
    pub class: StaleClass,
    /// How sure it is; only [`StaleClass::NotRenewed`] and [`StaleClass::Unread`] are ever less than certain.
    pub certainty: Certainty,
    /// What speaks for it, with the figures.
    pub evidence: Sentence,
}

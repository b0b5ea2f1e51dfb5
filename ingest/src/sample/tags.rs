//! The taxonomy of the sample corp: thirteen groups with 120 tags, some of them dated, protected, renamed or forgotten.

use std::collections::HashMap;

use super::days::shanghai;

/// A calendar day: year, month, day of the month.
type Day = (i32, u32, u32);

/// A tag group and the tags in it.
pub(super) struct Group {
    pub name: &'static str,
    /// `corp`, `rule_group` or `computed`.
    pub kind: &'static str,
    /// Whether its tags are kept out of cleanup and of bulk removal, and may not be renamed by us.
    pub is_protected: bool,
    /// Whether its tags are `temporary`; otherwise they are `long_term`.
    pub is_temporary: bool,
    /// The first pull that lists it.
    pub first_pull: usize,
    /// When it was made, and its tags unless they say otherwise.
    pub made: Day,
    pub tags: &'static [TagSpec],
}

/// A tag as the taxonomy declares it.
#[derive(Clone, Copy)]
pub(super) struct TagSpec {
    pub name: &'static str,
    /// The name of the tag above it in the same group.
    pub parent: Option<&'static str>,
    made: Option<Day>,
    valid_until: Option<Day>,
    renamed: Option<(usize, &'static str)>,
    /// False where only the corp itself may put the tag on a follow.
    pub may_mark: bool,
}

impl TagSpec {
    const fn under(mut self, parent: &'static str) -> Self {
        self.parent = Some(parent);
        self
    }

    const fn made(mut self, day: Day) -> Self {
        self.made = Some(day);
        self
    }

    const fn until(mut self, day: Day) -> Self {
        self.valid_until = Some(day);
        self
    }

    const fn renamed(mut self, pull: usize, name: &'static str) -> Self {
        self.renamed = Some((pull, name));
        self
    }

    const fn unmarkable(mut self) -> Self {
        self.may_mark = false;
        self
    }
}

const fn tag(name: &'static str) -> TagSpec {
    TagSpec { name, parent: None, made: None, valid_until: None, renamed: None, may_mark: true }
}

const fn group(name: &'static str, made: Day, tags: &'static [TagSpec]) -> Group {
    Group { name, kind: "corp", is_protected: false, is_temporary: false, first_pull: 0, made, tags }
}

/// The tag groups.
pub(super) static GROUPS: [Group; 13] = [
    Group { is_protected: true, ..group("来源渠道", (2023, 3, 1), CHANNEL_TAGS) },
    Group { is_protected: true, ..group("会员等级", (2023, 3, 1), LEVEL_TAGS) },
    group("意向等级", (2023, 3, 2), INTENT_TAGS),
    group("人群", (2023, 3, 6), PERSONA_TAGS),
    group("口味偏好", (2023, 3, 6), TASTE_TAGS),
    Group { is_temporary: true, ..group("活动", (2023, 3, 20), CAMPAIGN_TAGS) },
    group("客户类型", (2023, 3, 1), CUSTOMER_KIND_TAGS),
    group("地区", (2023, 4, 10), REGION_TAGS),
    group("生命周期", (2024, 5, 6), LIFECYCLE_TAGS),
    Group { kind: "rule_group", ..group("服务", (2024, 1, 15), SERVICE_TAGS) },
    Group { kind: "computed", ..group("活跃度", (2026, 9, 1), ACTIVITY_TAGS) },
    group("产品线", (2023, 6, 1), LINE_TAGS),
    Group { is_temporary: true, first_pull: 2, ..group("双11分层", (2026, 11, 11), SINGLES_DAY_TAGS) },
];

const CHANNEL_TAGS: &[TagSpec] = &[
    tag("视频号"),
    tag("抖音直播"),
    tag("官网获客"),
    tag("门店扫码"),
    tag("公众号"),
    tag("老客推荐"),
    tag("线下活动"),
    tag("小程序").made((2023, 9, 18)),
    tag("小红书").made((2024, 2, 26)),
    tag("电话外呼"),
];

const LEVEL_TAGS: &[TagSpec] = &[tag("普通"), tag("银卡"), tag("金卡"), tag("VIP"), tag("SVIP").made((2024, 1, 2))];

const INTENT_TAGS: &[TagSpec] =
    &[tag("高意向"), tag("中意向"), tag("低意向"), tag("无意向"), tag("待培育"), tag("已流失意向")];

const PERSONA_TAGS: &[TagSpec] = &[
    tag("备孕阶段"),
    tag("孕期妈妈").made((2023, 5, 8)),
    tag("宝妈"),
    tag("宠物主人"),
    tag("上班族"),
    tag("学生"),
    tag("银发族"),
    tag("健身人群"),
    tag("露营爱好者").made((2024, 4, 1)),
    tag("企业采购"),
    tag("礼品采购"),
    tag("团购团长"),
];

const TASTE_TAGS: &[TagSpec] = &[
    tag("偏好线下支付"),
    tag("偏好货到付款"),
    tag("喜辣"),
    tag("喜甜"),
    tag("清淡"),
    tag("无糖"),
    tag("重口味"),
    tag("直播控").renamed(1, "爱看直播"),
    tag("囤货型"),
    tag("尝新型"),
];

const CAMPAIGN_TAGS: &[TagSpec] = &[
    tag("周年庆2023").made((2023, 4, 20)).until((2023, 6, 1)),
    tag("双11意向客户2023").made((2023, 10, 20)),
    tag("双12意向客户2023").made((2023, 12, 1)).until((2023, 12, 31)),
    tag("年货节2024").made((2024, 1, 8)).until((2024, 2, 29)),
    tag("618大促2024").made((2024, 5, 28)).until((2024, 7, 1)),
    tag("双11意向客户2024").made((2024, 10, 18)),
    tag("年货节2025").made((2025, 1, 2)).until((2025, 2, 28)),
    tag("618大促2025").made((2025, 5, 26)).until((2025, 7, 1)),
    tag("会员日2025").made((2025, 8, 4)),
    tag("双11意向客户2025").made((2025, 10, 17)).until((2025, 12, 1)),
    tag("年货节2026").made((2026, 1, 12)).until((2026, 3, 15)),
    tag("直播专场2026春").made((2026, 3, 23)),
    tag("618大促2026").made((2026, 5, 25)).until((2026, 7, 1)),
    tag("会员日2026").made((2026, 8, 3)).until((2026, 12, 31)),
    tag("双11意向客户2026").made((2026, 9, 8)).until((2026, 12, 1)),
];

const CUSTOMER_KIND_TAGS: &[TagSpec] = &[
    tag("个人客户"),
    tag("企业客户"),
    tag("经销商"),
    tag("竞对公司"),
    tag("媒体达人"),
    tag("内部员工").unmarkable(),
    tag("供应商"),
    tag("异业伙伴"),
];

const REGION_TAGS: &[TagSpec] = &[
    tag("华东"),
    tag("华南"),
    tag("华北"),
    tag("华中"),
    tag("西南"),
    tag("西北"),
    tag("东北"),
    tag("上海").under("华东"),
    tag("江苏").under("华东"),
    tag("浙江").under("华东"),
    tag("陕西").under("西北"),
    tag("甘肃").under("西北"),
    tag("青海").under("西北"),
    tag("宁夏").under("西北"),
    tag("新疆").under("西北"),
];

const LIFECYCLE_TAGS: &[TagSpec] =
    &[tag("新客"), tag("首购"), tag("复购"), tag("忠诚"), tag("沉默"), tag("流失"), tag("召回中")];

const SERVICE_TAGS: &[TagSpec] = &[
    tag("专属顾问"),
    tag("年度套餐客户"),
    tag("临时咨询"),
    tag("售后处理中"),
    tag("已投诉"),
    tag("电话回访"),
    tag("发票需求"),
    tag("上门服务"),
    tag("企业对公"),
    tag("生日关怀"),
];

const ACTIVITY_TAGS: &[TagSpec] = &[tag("活跃用户"), tag("沉睡用户"), tag("本月新增活跃")];

const LINE_TAGS: &[TagSpec] = &[
    tag("茶"),
    tag("酒"),
    tag("零食"),
    tag("宠物").made((2024, 3, 4)),
    tag("红茶").under("茶"),
    tag("绿茶").under("茶"),
    tag("白茶").under("茶"),
    tag("普洱").under("茶"),
    tag("进口红酒").under("酒"),
    tag("果酒").under("酒"),
    tag("白酒").under("酒"),
    tag("坚果").under("零食"),
    tag("肉脯").under("零食"),
    tag("果干").under("零食"),
    tag("猫粮").under("宠物").made((2024, 3, 4)),
    tag("犬粮").under("宠物").made((2024, 3, 4)),
];

const SINGLES_DAY_TAGS: &[TagSpec] =
    &[tag("预售定金").until((2026, 12, 1)), tag("尾款已付").until((2026, 12, 1)), tag("凑单加购").until((2026, 12, 1))];

/// A tag with its ids, by which pulls list it.
pub(super) struct Tag {
    /// Stable over all pulls, whatever the tag's name.
    pub tag_id: String,
    pub parent_tag_id: Option<String>,
    pub group: &'static Group,
    pub spec: &'static TagSpec,
}

impl Tag {
    /// The tag's name in a pull.
    pub fn name(&self, pull: usize) -> &'static str {
        match self.spec.renamed {
            Some((since, name)) if since <= pull => name,
            _ => self.spec.name,
        }
    }

    /// Whether the tag is meant for a while only.
    pub fn is_temporary(&self) -> bool {
        self.group.is_temporary || self.spec.name == "临时咨询"
    }

    /// When the tag was made.
    pub fn created_at(&self) -> i64 {
        let (year, month, day) = self.spec.made.unwrap_or(self.group.made);
        shanghai(year, month, day, 10)
    }

    /// When its owner says it ends.
    pub fn valid_until(&self) -> Option<i64> {
        self.spec.valid_until.map(|(year, month, day)| shanghai(year, month, day, 0))
    }
}

/// Every tag of the sample corp, numbered from 0.
pub(super) struct Taxonomy {
    pub tags: Vec<Tag>,
    numbers: HashMap<(&'static str, &'static str), u16>,
}

impl Taxonomy {
    /// The taxonomy of every seed.
    pub fn new() -> Self {
        let mut tags = Vec::new();
        let mut numbers = HashMap::new();
        for (group_index, group) in GROUPS.iter().enumerate() {
            for (tag_index, spec) in group.tags.iter().enumerate() {
                let parent = spec.parent.and_then(|name| group.tags.iter().position(|other| other.name == name));
                numbers.insert((group.name, spec.name), tags.len() as u16);
                tags.push(Tag {
                    tag_id: tag_id(group_index, tag_index),
                    parent_tag_id: parent.map(|index| tag_id(group_index, index)),
                    group,
                    spec,
                });
            }
        }
        Self { tags, numbers }
    }

    /// The number of a tag by its group and its first name.
    pub fn number(&self, group: &'static str, name: &'static str) -> Option<u16> {
        self.numbers.get(&(group, name)).copied()
    }
}

/// The id of a group, such as `eg02`.
pub(super) fn group_id(group_index: usize) -> String {
    format!("eg{:02}", group_index + 1)
}

/// The id of a tag, such as `et0204`.
fn tag_id(group_index: usize, tag_index: usize) -> String {
    format!("et{:02}{:02}", group_index + 1, tag_index + 1)
}

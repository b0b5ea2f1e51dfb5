//! Names of people: customers under their names or nicknames, staff under names with a Latin account.

use super::random::Random;

/// Surnames, the frequent ones more than once.
const SURNAMES: &[&str] = &[
    "王", "王", "王", "李", "李", "李", "张", "张", "张", "刘", "刘", "陈", "陈", "杨", "杨", "黄", "黄", "赵", "赵",
    "吴", "吴", "周", "周", "徐", "孙", "马", "朱", "胡", "郭", "何", "林", "高", "罗", "郑", "梁", "谢", "宋", "唐",
    "许", "邓", "冯", "韩", "曹", "曾", "彭", "萧", "蔡", "潘", "田", "董", "袁", "于", "余", "叶", "蒋", "杜", "苏",
    "魏", "程", "吕", "丁", "沈", "任", "姚", "卢", "傅", "钟", "姜", "崔", "谭", "廖", "范", "汪", "陆", "金", "石",
    "戴", "贾", "韦", "夏", "欧阳", "上官", "司马",
];

/// Characters of given names that are mostly women's.
const FEMALE: &[&str] = &[
    "敏", "静", "丽", "娟", "芳", "娜", "婷", "雪", "梅", "琳", "玉", "兰", "霞", "倩", "颖", "慧", "佳", "欣", "怡",
    "悦", "诗", "涵", "雨", "梓", "萱", "若", "晓", "彤", "瑶", "菲", "月", "清", "妍", "思", "语", "嘉",
];

/// Characters of given names that are mostly men's.
const MALE: &[&str] = &[
    "伟", "强", "磊", "军", "勇", "杰", "涛", "明", "超", "刚", "平", "辉", "鹏", "浩", "宇", "轩", "博", "文", "俊",
    "豪", "泽", "子", "航", "一", "建", "国", "志", "远", "海", "峰", "天", "佑", "晨", "睿", "思", "嘉",
];

const NICKNAME_STARTS: &[&str] = &[
    "爱喝茶的",
    "早起的",
    "住在山里的",
    "不吃香菜的",
    "A",
    "阿",
    "小",
    "云端",
    "今天也要",
    "南方",
    "西北",
    "加班中的",
    "两只猫的",
    "爱露营的",
    "@",
];

const NICKNAME_ENDS: &[&str] = &[
    "小鹿",
    "阿敏",
    "大叔",
    "麻麻",
    "掌柜",
    "豆豆",
    "橘子",
    "团长",
    "老李",
    "同学",
    "小满",
    "北北",
    "栗子",
    "茶客",
    "阿强",
    "柚子",
    "建材李哥",
    "咕咕",
    "开心",
];

/// What a customer goes by: three in four a name that fits the gender, else a nickname.
///
/// Some nicknames begin with `@`, as they do in the wild: an export has to keep a spreadsheet from reading them as
/// formulas.
pub(super) fn customer_name(random: &mut Random, gender: Option<&str>) -> String {
    if random.chance(250) {
        return format!("{}{}", random.pick(NICKNAME_STARTS), random.pick(NICKNAME_ENDS));
    }
    let characters = match gender {
        Some("female") => FEMALE,
        Some(_) => MALE,
        None if random.chance(500) => FEMALE,
        None => MALE,
    };
    let mut name = (random.pick(SURNAMES)).to_owned();
    name.push_str(random.pick(characters));
    if random.chance(700) {
        name.push_str(random.pick(characters));
    }
    name
}

const STAFF_SURNAMES: [(&str, &str); 16] = [
    ("王", "wang"),
    ("李", "li"),
    ("张", "zhang"),
    ("刘", "liu"),
    ("陈", "chen"),
    ("杨", "yang"),
    ("赵", "zhao"),
    ("周", "zhou"),
    ("吴", "wu"),
    ("徐", "xu"),
    ("孙", "sun"),
    ("马", "ma"),
    ("胡", "hu"),
    ("郭", "guo"),
    ("何", "he"),
    ("林", "lin"),
];

const STAFF_GIVEN: [(&str, &str); 15] = [
    ("敏", "min"),
    ("强", "qiang"),
    ("静怡", "jingyi"),
    ("磊", "lei"),
    ("雪", "xue"),
    ("俊杰", "junjie"),
    ("婷", "ting"),
    ("海峰", "haifeng"),
    ("佳", "jia"),
    ("文博", "wenbo"),
    ("若兰", "ruolan"),
    ("超", "chao"),
    ("晓彤", "xiaotong"),
    ("志远", "zhiyuan"),
    ("颖", "ying"),
];

/// A staff member's name and account, such as `王敏` and `wangmin01`; the number in it keeps accounts apart.
pub(super) fn staff_name(index: usize) -> (String, String) {
    // The two list lengths share no factor, so that full names come back only after 240 staff.
    let (surname, latin_surname) = STAFF_SURNAMES[index % STAFF_SURNAMES.len()];
    let (given, latin_given) = STAFF_GIVEN[index % STAFF_GIVEN.len()];
    (format!("{surname}{given}"), format!("{latin_surname}{latin_given}{:02}", index + 1))
}

//! Where customers live: provinces with their sales region, their cities and how many live there.

/// A province, as far as the sample corp cares.
pub(super) struct Province {
    pub name: &'static str,
    /// The sales region, which is also the name of a tag in the group 地区.
    pub region: &'static str,
    pub cities: &'static [&'static str],
}

/// How many customers live in each province, in the order of [`PROVINCES`].
pub(super) const PROVINCE_WEIGHTS: [u32; 31] = [
    62, 88, 84, 40, 34, 22, 48, 112, 24, 10, 58, 14, 38, 26, 20, 46, 38, 36, 26, 68, 30, 20, 16, 4, 40, 16, 6, 8, 18,
    14, 14,
];

/// The provinces.
pub(super) static PROVINCES: [Province; 31] = [
    province("上海", "华东", &["上海"]),
    province("江苏", "华东", &["南京", "苏州", "无锡", "南通"]),
    province("浙江", "华东", &["杭州", "宁波", "温州", "金华"]),
    province("安徽", "华东", &["合肥", "芜湖"]),
    province("福建", "华东", &["福州", "厦门", "泉州"]),
    province("江西", "华东", &["南昌", "赣州"]),
    province("山东", "华东", &["济南", "青岛", "烟台"]),
    province("广东", "华南", &["广州", "深圳", "佛山", "东莞"]),
    province("广西", "华南", &["南宁", "桂林"]),
    province("海南", "华南", &["海口", "三亚"]),
    province("北京", "华北", &["北京"]),
    province("天津", "华北", &["天津"]),
    province("河北", "华北", &["石家庄", "保定", "唐山"]),
    province("山西", "华北", &["太原", "大同"]),
    province("内蒙古", "华北", &["呼和浩特", "包头"]),
    province("河南", "华中", &["郑州", "洛阳", "南阳"]),
    province("湖北", "华中", &["武汉", "宜昌"]),
    province("湖南", "华中", &["长沙", "株洲", "衡阳"]),
    province("重庆", "西南", &["重庆"]),
    province("四川", "西南", &["成都", "绵阳", "宜宾"]),
    province("云南", "西南", &["昆明", "大理", "普洱"]),
    province("贵州", "西南", &["贵阳", "遵义"]),
    province("辽宁", "东北", &["沈阳", "大连"]),
    province("西藏", "西南", &["拉萨"]),
    province("陕西", "西北", &["西安", "咸阳", "宝鸡"]),
    province("甘肃", "西北", &["兰州", "天水"]),
    province("青海", "西北", &["西宁"]),
    province("宁夏", "西北", &["银川"]),
    province("新疆", "西北", &["乌鲁木齐", "喀什"]),
    province("吉林", "东北", &["长春", "吉林"]),
    province("黑龙江", "东北", &["哈尔滨", "大庆"]),
];

const fn province(name: &'static str, region: &'static str, cities: &'static [&'static str]) -> Province {
    Province { name, region, cities }
}

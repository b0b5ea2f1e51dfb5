//! What the sample corp sells, and what its customers read, ask and scan.

/// A product line, with a tag of its name in the group 产品线.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub name: &'static str,
    /// The kinds of goods in it, each with a tag below the line's.
    pub kinds: &'static [&'static str],
    pub goods: &'static [Good],
}

/// A thing that is sold.
#[derive(Clone, Copy)]
pub(super) struct Good {
    pub sku: &'static str,
    /// Its list price in 分, hundredths of a yuan.
    pub price_fen: i64,
}

const fn good(sku: &'static str, yuan: i64, fen: i64) -> Good {
    Good { sku, price_fen: yuan * 100 + fen }
}

/// The product lines.
pub(super) static LINES: [Line; 4] = [
    Line {
        name: "茶",
        kinds: &["红茶", "绿茶", "白茶", "普洱"],
        goods: &[
            good("T-HC-100", 68, 0),
            good("T-LC-250", 128, 0),
            good("T-BC-357", 398, 0),
            good("T-PE-357", 598, 0),
            good("T-LH-001", 888, 0),
        ],
    },
    Line {
        name: "酒",
        kinds: &["进口红酒", "果酒", "白酒"],
        goods: &[
            good("W-GJ-500", 79, 0),
            good("W-HJ-750", 158, 0),
            good("W-BJ-500", 468, 0),
            good("W-HJ-006", 1280, 0),
            good("W-LH-002", 2680, 0),
        ],
    },
    Line {
        name: "零食",
        kinds: &["坚果", "肉脯", "果干"],
        goods: &[
            good("S-GG-400", 39, 90),
            good("S-RP-300", 49, 90),
            good("S-JG-500", 59, 90),
            good("S-LB-001", 168, 0),
            good("S-LB-008", 399, 0),
        ],
    },
    Line {
        name: "宠物",
        kinds: &["猫粮", "犬粮"],
        goods: &[good("P-LS-200", 39, 0), good("P-ML-002", 139, 0), good("P-QL-005", 219, 0), good("P-QL-015", 699, 0)],
    },
];

/// How many customers like each line best, in the order of [`LINES`].
pub(super) const LINE_WEIGHTS: [u32; 4] = [40, 20, 28, 12];

/// Documents that customers open.
pub(super) const DOCUMENTS: &[&str] =
    &["品鉴手册", "企业礼品目录2026", "会员权益手册", "喂养指南", "年份普洱白皮书", "双11清单"];

/// What customers ask about.
pub(super) const TOPICS: &[&str] = &["礼盒定制", "企业团购", "会员权益", "物流进度", "退换货", "新品试吃", "门店预约"];

/// Posters and codes that customers scan.
pub(super) const CODES: &[&str] =
    &["poster-0618", "poster-1111", "poster-store", "poster-koc", "qr-package", "qr-group"];

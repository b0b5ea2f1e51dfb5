//! The channels customers come by. A channel decides how lively its customers are and how high they rise, which is what
//! gives the cross-tab of channel × activity its shape.

/// How a customer lives with the brand, in the order of [`Channel::habits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Comes back every week.
    Engaged,
    /// Comes back now and then.
    Casual,
    /// Went quiet some time ago.
    Dormant,
    /// Browses and buys without ever logging in.
    NeverLogsIn,
}

impl Habit {
    /// Every habit, in the order of [`Channel::habits`].
    pub const ALL: [Self; 4] = [Self::Engaged, Self::Casual, Self::Dormant, Self::NeverLogsIn];
}

/// A channel and the customers it brings.
#[derive(Clone, Copy)]
pub(super) struct Channel {
    /// Its name, which is also the name of a tag in the group 来源渠道.
    pub name: &'static str,
    /// How customers are added by it.
    pub add_way: &'static str,
    /// How the marks of its contact ways begin; `None` for a channel without marks.
    pub state_prefix: Option<&'static str>,
    /// How many of a hundred customers have each habit.
    pub habits: [u32; 4],
    /// How many of a thousand customers reach each member level.
    pub levels: [u32; 5],
}

/// How many customers the channels bring before September 2025, in the order of [`CHANNELS`].
pub(super) const EARLIER_SHARES: [u32; 10] = [180, 170, 110, 160, 120, 80, 60, 60, 30, 30];

/// How many customers the channels bring since then: short video has overtaken the rest.
pub(super) const LATER_SHARES: [u32; 10] = [260, 150, 80, 110, 70, 90, 50, 100, 70, 20];

/// The channels.
pub(super) static CHANNELS: [Channel; 10] = [
    Channel {
        name: "视频号",
        add_way: "channels",
        state_prefix: Some("sph"),
        habits: [42, 40, 13, 5],
        levels: [610, 200, 110, 60, 20],
    },
    Channel {
        name: "抖音直播",
        add_way: "acquisition_link",
        state_prefix: Some("dy"),
        habits: [15, 37, 36, 12],
        levels: [720, 180, 70, 24, 6],
    },
    Channel {
        name: "官网获客",
        add_way: "acquisition_link",
        state_prefix: Some("web"),
        habits: [24, 47, 20, 9],
        levels: [590, 200, 120, 65, 25],
    },
    Channel {
        name: "门店扫码",
        add_way: "scan_qr",
        state_prefix: Some("store"),
        habits: [28, 49, 15, 8],
        levels: [560, 210, 130, 75, 25],
    },
    Channel {
        name: "公众号",
        add_way: "scan_qr",
        state_prefix: Some("gzh"),
        habits: [18, 46, 28, 8],
        levels: [640, 200, 100, 45, 15],
    },
    Channel {
        name: "老客推荐",
        add_way: "name_card",
        state_prefix: None,
        habits: [46, 40, 10, 4],
        levels: [480, 220, 150, 105, 45],
    },
    Channel {
        name: "线下活动",
        add_way: "scan_qr",
        state_prefix: Some("event"),
        habits: [12, 36, 35, 17],
        levels: [650, 190, 100, 45, 15],
    },
    Channel {
        name: "小程序",
        add_way: "scan_qr",
        state_prefix: Some("mini"),
        habits: [36, 47, 14, 3],
        levels: [600, 210, 115, 57, 18],
    },
    Channel {
        name: "小红书",
        add_way: "acquisition_link",
        state_prefix: Some("xhs"),
        habits: [30, 42, 21, 7],
        levels: [670, 190, 90, 40, 10],
    },
    Channel {
        name: "电话外呼",
        add_way: "search_mobile",
        state_prefix: None,
        habits: [6, 26, 41, 27],
        levels: [760, 160, 60, 15, 5],
    },
];

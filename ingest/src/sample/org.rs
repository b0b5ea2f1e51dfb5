//! The staff of the sample corp and their department tree.

use super::names::staff_name;
use super::random::Random;

/// A department.
pub(super) struct Department {
    pub department_id: &'static str,
    pub parent_department_id: Option<&'static str>,
    pub name: &'static str,
}

const fn department(id: &'static str, parent: Option<&'static str>, name: &'static str) -> Department {
    Department { department_id: id, parent_department_id: parent, name }
}

/// The departments, parents before children.
pub(super) static DEPARTMENTS: [Department; 14] = [
    department("1", None, "山野集"),
    department("2", Some("1"), "销售中心"),
    department("3", Some("2"), "华东销售部"),
    department("4", Some("2"), "华南销售部"),
    department("5", Some("2"), "华北销售部"),
    department("6", Some("2"), "西部销售部"),
    department("7", Some("1"), "私域运营中心"),
    department("8", Some("7"), "直播运营组"),
    department("9", Some("7"), "社群运营组"),
    department("10", Some("1"), "客户服务中心"),
    department("11", Some("10"), "售前客服组"),
    department("12", Some("10"), "售后客服组"),
    department("13", Some("1"), "职能中心"),
    department("14", Some("13"), "财务组"),
];

const EAST: usize = 2;
const SOUTH: usize = 3;
const NORTH: usize = 4;
const WEST: usize = 5;
const LIVE: usize = 7;
const COMMUNITY: usize = 8;
const PRE_SALES: usize = 10;
const AFTER_SALES: usize = 11;
const FINANCE: usize = 13;

/// Where each next member of the staff works, over and over: small corps fill the departments that follow customers
/// first.
const SEATS: [usize; 20] = [
    EAST,
    LIVE,
    COMMUNITY,
    PRE_SALES,
    SOUTH,
    NORTH,
    WEST,
    EAST,
    LIVE,
    COMMUNITY,
    PRE_SALES,
    SOUTH,
    FINANCE,
    NORTH,
    WEST,
    AFTER_SALES,
    EAST,
    LIVE,
    COMMUNITY,
    PRE_SALES,
];

/// A member of the staff.
pub(super) struct Staff {
    pub staff_id: String,
    pub name: String,
    /// The index of the department in [`DEPARTMENTS`].
    pub department: usize,
}

/// The staff, and who of them follows customers.
pub(super) struct Org {
    pub staff: Vec<Staff>,
    /// By department, the staff there who follow customers.
    desks: Vec<Vec<u16>>,
    /// All staff who follow customers.
    facing: Vec<u16>,
}

impl Org {
    /// A staff of that many, at least four and at most 65,535.
    pub fn new(count: usize) -> Self {
        let count = count.clamp(4, usize::from(u16::MAX));
        let staff: Vec<Staff> = (0..count).map(staff_member).collect();
        let mut desks = vec![Vec::new(); DEPARTMENTS.len()];
        let mut facing = Vec::new();
        for (index, member) in staff.iter().enumerate() {
            if member.department != FINANCE {
                desks[member.department].push(index as u16);
                facing.push(index as u16);
            }
        }
        Self { staff, desks, facing }
    }

    /// Somebody to follow a customer: from the department that fits channel and region if it has anybody left, else
    /// from all who follow customers. The longer somebody is there, the more customers they have.
    pub fn follower(&self, random: &mut Random, channel: &str, region: Option<&str>, except: &[u16]) -> u16 {
        for desk in [&self.desks[department_for(channel, region)], &self.facing] {
            let free: Vec<u16> = desk.iter().copied().filter(|staff| !except.contains(staff)).collect();
            if !free.is_empty() {
                let (one, other) = (random.below(free.len() as u64), random.below(free.len() as u64));
                return free[one.min(other) as usize];
            }
        }
        0
    }
}

fn staff_member(index: usize) -> Staff {
    let (name, staff_id) = staff_name(index);
    Staff { staff_id, name, department: SEATS[index % SEATS.len()] }
}

/// The department that follows customers of a channel and a region.
fn department_for(channel: &str, region: Option<&str>) -> usize {
    match (channel, region) {
        ("视频号" | "抖音直播", _) => LIVE,
        ("小红书" | "公众号", _) => COMMUNITY,
        ("官网获客" | "小程序", _) => PRE_SALES,
        (_, Some("华东" | "华中")) => EAST,
        (_, Some("华南")) => SOUTH,
        (_, Some("华北" | "东北")) => NORTH,
        (_, Some("西北" | "西南")) => WEST,
        _ => PRE_SALES,
    }
}

//! What is found in a text, and what is not.

use super::*;

fn search(id: &str, names: &[&str], mobiles: &[&str]) -> Search {
    let key = CustomerKey { id_space: "corp".to_owned(), customer_id: id.to_owned() };
    let mut values = Values::new(CustomerNo(5), key);
    values.names = names.iter().map(|name| (*name).to_owned()).collect();
    values.mobiles = mobiles.iter().map(|mobile| (*mobile).to_owned()).collect();
    Search::new(values)
}

#[test]
fn a_long_value_is_found_within_any_text_and_a_short_one_as_a_whole_word() {
    let search = search("wm0042-abc", &["李雷", "Li", "王"], &[]);
    for meant in ["x_wm0042-abc_y", "收件人李雷雷", "o1,Li,上海", "Li", "\"Li\"的"] {
        assert!(search.is_meant_in(meant), "{meant}");
    }
    for other in ["Lisa", "wm0042", "李 雷", "王", "a_Li", ""] {
        assert!(!search.is_meant_in(other), "{other}");
    }
    assert!(search.is_named_in("x_wm0042-abc_y") && !search.is_named_in("李雷"), "a name may be another's");
}

#[test]
fn a_short_number_is_no_part_of_a_date_a_time_or_an_amount() {
    let search = search("12", &[], &[]);
    for meant in ["o1,12,上海", "{\"id\":12}", "12", "id:12;"] {
        assert!(search.is_meant_in(meant), "{meant}");
    }
    for other in ["2026-12-01", "2026-01-12", "10:12:00", "99.12", "12.50", "112", "12a", "1/12"] {
        assert!(!search.is_meant_in(other), "{other}");
    }
}

#[test]
fn a_mobile_number_is_found_however_it_is_written() {
    let search = search("c1", &[], &["+86 138-0013-8002"]);
    for meant in ["o1,13800138002,x", "(+86)138 0013 8002", "１３８００１３８００２", "8613800138002"] {
        assert!(search.is_meant_in(meant), "{meant}");
    }
    for mobile in ["13800138002", "+86 138-0013-8002", "0086 13800138002", "13800138002.0"] {
        assert!(search.has_mobile(mobile), "{mobile}");
    }
    assert!(!search.has_mobile("13800138003") && !search.is_meant_in("13800138003"));
    assert!(search.has_mobile_hash("BB63166DEEBE61D290485BFE19DD2CD97A4BBBE0ED3FA62044DD595F59C0CE53"));
    assert!(search.has_mobile_hash("392ce09321418d1b02f105334120923d"));
}

#[test]
fn a_text_is_cleaned_of_what_tells_and_of_nothing_else() {
    let search = search("wm0042-abc", &["李雷雷", "李雷", "Li"], &[]);
    let text = "给李雷雷和李雷 Li c1 (wm0042-abc)";
    assert_eq!(search.without_values(text).as_deref(), Some("给erased和erased Li c1 (erased)"));
    assert_eq!(search.without_ids(text).as_deref(), Some("给李雷雷和李雷 Li c1 (erased)"));
    assert_eq!(search.without_values("Li c1"), None);
}

#[test]
fn the_ids_of_one_customer_on_one_platform_stay_apart() {
    let mut search = search("c1", &[], &[]);
    for id in ["d1", "d2"] {
        search.values.add("id_map", "platform_id", id.to_owned(), Some("douyin"));
    }
    let told = ["d1", "d2", "d3"].map(|id| search.values.platform_tombstone("douyin", id));
    assert_eq!(told, ["erased:5", "erased:5:2", "erased:5:0"]);
}

#[test]
fn of_other_attributes_those_stay_that_nobody_else_has_and_that_are_no_mere_words_or_dates() {
    let mut values = search("c1", &[], &[]).values;
    let dated = ["1990-01-01", "2026/06/01 10:00"];
    let told = ["li@example.com", "VIP", "潜在的客户", "浦东大道77号", "shared@example.com"];
    for text in told.into_iter().chain(dated) {
        values.add("customer", "note", text.to_owned(), None);
    }
    values.add("follow", "remark", "asked about order 20260601".to_owned(), None);
    values.shared.insert("shared@example.com".to_owned());
    values.settle();
    assert_eq!(values.others, BTreeSet::from(["li@example.com", "浦东大道77号"].map(str::to_owned)));
}

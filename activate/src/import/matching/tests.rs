use tagmill_schemas::ids::FollowNo;

use super::*;

/// `c1` is followed by `wang`, who owns it, and by `li`; `c2` by `wang` alone; `c3` by nobody; `c4` is in two spaces.
fn directory(rows: &[UploadRow]) -> Directory<'_> {
    let mut directory = Directory::wanting(rows);
    let customers = [("corp", "c1"), ("corp", "c2"), ("corp", "c3"), ("corp", "c4"), ("shop", "c4")];
    for (no, (id_space, id)) in (1..).zip(customers) {
        directory.add_customer(id, id_space.to_owned(), CustomerNo(no));
    }
    for (follow_no, customer_no, staff_id, is_owner) in
        [(10, 1, "wang", true), (11, 1, "li", false), (12, 2, "wang", true)]
    {
        let follow = ActiveFollow { follow_no: FollowNo(follow_no), staff_id: StaffId::new(staff_id), is_owner };
        directory.add_follow(CustomerNo(customer_no), follow);
    }
    directory
}

/// Rows of `customer` or `customer staff`, numbered from 2.
fn rows(written: &[&str]) -> Vec<UploadRow> {
    let row = |(row, text): (u64, &&str)| {
        let (customer_id, staff_id) = text.split_once(' ').map_or((*text, None), |(id, staff)| (id, Some(staff)));
        UploadRow { row, id_space: None, customer_id: customer_id.to_owned(), staff_id: staff_id.map(str::to_owned) }
    };
    (2..).zip(written).map(row).collect()
}

/// A verdict in short: the follows that are tagged (`-` for the customer itself), or the code.
fn short(verdict: &Result<Listed, WhyNot>) -> String {
    match verdict {
        Ok(listed) => {
            let follow =
                |(holder, _): &(Holder, Option<StaffId>)| holder.1.map_or("-".to_owned(), |no| no.0.to_string());
            listed.holders.iter().map(follow).collect::<Vec<_>>().join("+")
        }
        Err(WhyNot::SameAs { row }) => format!("as {row}"),
        Err(why) => why.code().to_owned(),
    }
}

fn check(on: ImportOn, written: &[&str], expected: &[&str]) {
    let rows = rows(written);
    let verdicts = judge(&rows, &directory(&rows), on, |customer_no| customer_no != CustomerNo(2));
    let found: Vec<String> = verdicts.iter().map(short).collect();
    assert_eq!(found, expected, "{on}: {written:?}");
}

#[test]
fn a_row_tags_the_follows_that_are_asked_for_and_a_staff_member_in_it_goes_before() {
    check(ImportOn::Owner, &["c1"], &["10"]);
    check(ImportOn::AllActive, &["c1"], &["10+11"]);
    check(ImportOn::Customer, &["c1"], &["-"]);
    check(ImportOn::Owner, &["c1 li"], &["11"]);
    check(ImportOn::AllActive, &["c1 li"], &["11"]);
    check(ImportOn::Customer, &["c1 li"], &["-"]);
}

#[test]
fn who_is_not_there_or_not_followed_is_unmatched() {
    check(ImportOn::Owner, &["c9", "c3", "c2 li"], &["CUSTOMER_UNKNOWN", "NOT_FOLLOWED", "NOT_FOLLOWED_BY_STAFF"]);
    check(ImportOn::Customer, &["c9", "c3", "c3 li"], &["CUSTOMER_UNKNOWN", "-", "NOT_FOLLOWED_BY_STAFF"]);
}

#[test]
fn what_names_no_single_customer_is_rejected_each_time() {
    let long = "x".repeat(MAX_ID_BYTES + 1);
    let written = ["", "", "c4", "c4", long.as_str(), "1.23457E+17", "1.5E+", "shop:c4"];
    let ambiguous = "CUSTOMER_AMBIGUOUS";
    let expected = ["ID_EMPTY", "ID_EMPTY", ambiguous, ambiguous, "ID_TOO_LONG", "ID_ROUNDED", "CUSTOMER_UNKNOWN", "-"];
    check(ImportOn::Customer, &written, &expected);
}

#[test]
fn a_row_that_adds_nothing_to_earlier_ones_is_a_duplicate_however_it_is_written() {
    check(ImportOn::Owner, &["c1", "corp:c1", "c1 wang", "c1 li"], &["10", "as 2", "as 2", "11"]);
    check(ImportOn::AllActive, &["c1 li", "c1", "c1"], &["11", "10+11", "as 3"]);
    check(ImportOn::Customer, &["c1 li", "c1 wang"], &["-", "as 2"]);
    check(ImportOn::Owner, &["c9", "c9", "c9 li"], &["CUSTOMER_UNKNOWN", "as 2", "CUSTOMER_UNKNOWN"]);
}

#[test]
fn who_is_outside_the_segment_is_inactive_once() {
    check(ImportOn::Owner, &["c2", "corp:c2", "c1"], &["NOT_IN_SEGMENT", "as 2", "10"]);
}

#[test]
fn an_ambiguous_id_is_told_with_what_it_fits() {
    let rows = rows(&["c4"]);
    let verdicts = judge(&rows, &directory(&rows), ImportOn::Owner, |_| true);
    let why = verdicts[0].as_ref().expect_err("an ambiguous id");
    assert_eq!(why.to_string(), "the id fits `corp:c4` and `shop:c4`: write the one that is meant");
}

#[test]
fn every_kind_of_reason_belongs_to_one_outcome() {
    let outcomes = |whys: &[WhyNot]| whys.iter().map(|why| why.outcome().as_str()).collect::<Vec<_>>();
    let rejected =
        [WhyNot::IdEmpty, WhyNot::IdTooLong, WhyNot::IdRounded, WhyNot::CustomerAmbiguous { fits: Vec::new() }];
    assert_eq!(outcomes(&rejected), ["rejected"; 4]);
    let unmatched = [WhyNot::CustomerUnknown, WhyNot::NotFollowed, WhyNot::NotFollowedByStaff];
    assert_eq!(outcomes(&unmatched), ["unmatched"; 3]);
    assert_eq!(outcomes(&[WhyNot::SameAs { row: 2 }, WhyNot::NotInSegment]), ["duplicate", "inactive"]);
}

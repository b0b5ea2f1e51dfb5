use super::*;

#[test]
fn what_comes_later_is_said_to_come_later() {
    let text = "
  all:
    - tag: {any_of: [来源渠道/视频号], follower: any, held_since: {before: as_of - 30 days}}
    - {event: active, measure: distinct_days, window: this_month, op: \">=\", value: 3}
    - any:
        - {event: scan, filter: {place: group}, measure: streak_days, window: last_30_days, op: \">=\", value: 3}
        - sequence:
            steps: [{event: view_pdf}, {event: consult}, {absent: enrol}]
            within: 14 days
    - event: add_to_cart
      per: sku
      window: this_quarter
      measure: count
      op: \">=\"
      value: 3
      but_not: {event: pay, after: last}";
    let problems: [Bad; 6] = [
        (codes::NOT_SUPPORTED_YET, 5, "`held_since`"),
        (codes::NOT_SUPPORTED_YET, 8, "`streak_days`"),
        (codes::NOT_SUPPORTED_YET, 9, "`sequence`"),
        (codes::NOT_SUPPORTED_YET, 13, "`per`"),
        (codes::NOT_SUPPORTED_YET, 14, "`this_quarter`"),
        (codes::NOT_SUPPORTED_YET, 18, "`but_not`"),
    ];
    check_condition(text, Err(&problems));
}

#[test]
fn values_that_cannot_be_meant() {
    let cases = [
        ("2026-02-30", TIME_INVALID, "there is no day `2026-02-30`"),
        ("2026-06-01 25:00", TIME_INVALID, "is no time"),
        ("2026-06-01T08:00:00+8", TIME_INVALID, "is no time"),
        ("as_of - 3 weeks", TIME_INVALID, "relative to `as_of`"),
        ("as_of + 1 days", TIME_INVALID, "relative to `as_of`"),
        ("1e5", NUMBER_INVALID, "not written out"),
        (".5", NUMBER_INVALID, "not written out"),
        ("1.23456", NUMBER_INVALID, "too many digits"),
        ("1234567890123456789", NUMBER_INVALID, "too many digits"),
        ("007", NUMBER_INVALID, "begins with a zero"),
        ("[1, 2]", codes::TYPE_WRONG, "expected one value, found a list"),
        ("{from: 1}", codes::TYPE_WRONG, "expected one value, found a mapping"),
        ("null", codes::KEY_MISSING, "`value` is missing"),
    ];
    for (written, code, part) in cases {
        let text = format!("{{attribute: {{name: x, op: \"=\", value: {written}, missing: exclude}}}}");
        check_bad(&text, code, part);
    }
}

#[test]
fn operators_and_their_values() {
    let cases = [
        ("==, value: 1", codes::WORD_UNKNOWN, "unknown operator `==`"),
        ("not in, value: [1]", codes::WORD_UNKNOWN, "unknown operator `not in`"),
        ("[in], value: [1]", codes::TYPE_WRONG, "expected an operator"),
        ("in, value: 1", codes::TYPE_WRONG, "expected a list of values"),
        ("in, value: []", codes::VALUE_EMPTY, "empty list"),
        ("between, value: 1", codes::TYPE_WRONG, "expected a band"),
        ("between, value: {from: 2, to: 2}", WINDOW_REVERSED, "`from` is not below `to`"),
        ("between, value: {from: null}", codes::VALUE_EMPTY, "without an end"),
        ("between, value: {form: 1, to: 2}", codes::KEY_UNKNOWN, "unknown key `form`"),
    ];
    for (written, code, part) in cases {
        check_bad(&format!("{{attribute: {{name: x, op: {written}, missing: exclude}}}}"), code, part);
    }
    check_bad("{attribute: {name: x, value: 1, missing: exclude}}", codes::KEY_MISSING, "`op` is missing");
}

#[test]
fn an_operator_that_is_a_list_is_told_every_operator_and_guesses_none() {
    let text = "universe: all\nas_of: latest\nwhere: {attribute: {name: x, op: [in], value: [1], missing: exclude}}\n";
    let problems = parse_segment(text).expect_err("problems");
    let hint = problems.0[0].hint.as_deref();
    assert_eq!(hint, Some("write `=`, `!=`, `<`, `<=`, `>`, `>=`, `in` or `between`"));
}

#[test]
fn conditions_that_are_none() {
    let cases = [
        ("{}", CONDITION_UNKNOWN, "empty mapping"),
        ("{tags: {any_of: [a/b], follower: any}}", CONDITION_UNKNOWN, "unknown condition `tags`"),
        ("[]", codes::TYPE_WRONG, "expected a condition"),
        ("{all: []}", codes::VALUE_EMPTY, "empty list"),
        ("{any: {segment: a}}", codes::TYPE_WRONG, "expected a list of conditions"),
        ("{segment: a, sql: b}", CONDITION_AMBIGUOUS, "`segment` and `sql`"),
        ("{segment: ../secrets}", codes::VALUE_INVALID, "is a path"),
        ("{segment: vip.yaml}", codes::VALUE_INVALID, "is a path"),
        ("{sql: ''}", codes::VALUE_EMPTY, "empty text"),
        ("{staff: [zhang]}", CONDITION_MISPLACED, "`staff` has no place here"),
        ("{same_follower: [{segment: a}]}", CONDITION_MISPLACED, "`segment` has no place here"),
        ("{same_follower: [{staff: []}]}", codes::VALUE_EMPTY, "empty list"),
        ("{same_follower: [{tag: {any_of: [a/b], follower: any}}]}", codes::KEY_MISPLACED, "`follower` has no place"),
        ("{any_of: [a/b], follower: any}", codes::KEY_MISSING, "`tag` is missing"),
        ("{window: lifetime, measure: count, op: \"=\", value: 1}", codes::KEY_MISSING, "`event` is missing"),
    ];
    for (written, code, part) in cases {
        check_bad(written, code, part);
    }
}

#[test]
fn leaves_that_leave_something_open() {
    let cases = [
        ("{tag: {any_of: [a/b]}}", codes::KEY_MISSING, "`follower` is missing"),
        ("{tag: {any_of: [a/b], follower: zhang}}", codes::WORD_UNKNOWN, "unknown follower `zhang`"),
        ("{tag: {any_of: [VIP], follower: any}}", TAG_REF_INVALID, "does not say its tag group"),
        ("{tag: {any_of: [], follower: any}}", codes::VALUE_EMPTY, "empty list"),
        ("{tag: {follower: any}}", codes::KEY_MISSING, "`any_of`, `all_of` and `none_of`"),
        ("{tag: {any_of: [a/b], all_of: [c/d], follower: any}}", CONDITION_AMBIGUOUS, "has one of"),
        ("{tag: {any_of: [a/b], follower: any}, follower: any}", codes::KEY_MISPLACED, "no place beside `tag`"),
        ("{attribute: {name: x, op: \"=\", value: 1}}", codes::KEY_MISSING, "`missing` is missing"),
        ("{event: pay, measure: count, op: \">=\", value: 1}", codes::KEY_MISSING, "`window` is missing"),
        ("{event: pay, window: lifetime, op: \">=\", value: 1}", codes::KEY_MISSING, "`measure` is missing"),
        (
            "{event: pay, window: lifetime, measure: distinct, op: \">=\", value: 1}",
            codes::KEY_MISSING,
            "`of` is missing",
        ),
        ("{event: pay, window: lifetime, measure: count, of: ref, op: \">=\", value: 1}", codes::KEY_MISPLACED, "`of`"),
        ("{event: pay, window: lifetime, measure: last, op: \"<\", value: as_of}", codes::KEY_MISSING, "`never`"),
        ("{event: pay, window: lifetime, measure: avg, op: \">=\", value: 1}", codes::NOT_SUPPORTED_YET, "`avg`"),
        (
            "{event: pay, window: lifetime, include_today: true, measure: count, op: \">=\", value: 1}",
            codes::KEY_MISPLACED,
            "`include_today` belongs to `this_month`",
        ),
        (
            "{event: pay, window: last_month, include_today: false, measure: count, op: \">=\", value: 1}",
            codes::KEY_MISPLACED,
            "`include_today`",
        ),
        (
            "{event: pay, window: {from: 2026-06-01, to: as_of}, include_today: true, measure: count, op: \">=\", value: 1}",
            codes::KEY_MISPLACED,
            "`include_today`",
        ),
        ("{event: [], window: lifetime, measure: count, op: \">=\", value: 1}", codes::VALUE_EMPTY, "empty list"),
    ];
    for (written, code, part) in cases {
        check_bad(written, code, part);
    }
}

#[test]
fn all_problems_come_out_together() {
    let text = "nmae: x
universe: follow
where:
  all:
    - tag: {any_of: [VIP]}
    - attribute: {name: city, op: \"==\", value: 007}
    - segment: a
      sql: ''
";
    let problems: [Bad; 10] = [
        (codes::KEY_UNKNOWN, 1, "unknown key `nmae`"),
        (codes::KEY_MISSING, 1, "`as_of` is missing"),
        (codes::WORD_UNKNOWN, 2, "unknown universe `follow`"),
        (codes::KEY_MISSING, 5, "`follower` is missing"),
        (TAG_REF_INVALID, 5, "`VIP` does not say"),
        (codes::KEY_MISSING, 6, "`missing` is missing"),
        (codes::WORD_UNKNOWN, 6, "unknown operator `==`"),
        (NUMBER_INVALID, 6, "begins with a zero"),
        (CONDITION_AMBIGUOUS, 7, "`segment` and `sql`"),
        (codes::VALUE_EMPTY, 8, "empty text"),
    ];
    check(text, Err(&problems));
}

#[test]
fn a_problem_points_into_the_document_and_names_what_is_near() {
    let text = "
universe: followed
as_of: latest
where: {all: [{segment: a}, {tag: {any_off: [a/b], follower: any}}]}
";
    let problems = parse_segment(text).expect_err("problems");
    let paths: Vec<&str> = problems.0.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["/where/all/1/tag", "/where/all/1/tag/any_off"]);
    assert!(problems.to_string().contains("did you mean `any_of`"), "{problems}");
}

-- Of the present holders of tags whose date has passed: how many were certainly given the tag since, and of how many it
-- is not known. The caller fills in the rows of `passed`: a tag and its instant each.
SELECT
    tag_id,
    count(*) FILTER (WHERE given_after >= passed_at) AS given_since,
    count(*) FILTER (WHERE given_by >= passed_at AND (given_after IS NULL OR given_after < passed_at)) AS undated
FROM (
    -- The newest giving decides: whoever holds the tag on two follows was given it twice.
    SELECT
        held_assignment.tag_id,
        held_assignment.customer_no,
        max(passed.passed_at) AS passed_at,
        max(held_assignment.given_by) AS given_by,
        max(held_assignment.given_after) AS given_after
    FROM held_assignment
    JOIN (VALUES {passed}) AS passed (tag_id, passed_at) ON passed.tag_id = held_assignment.tag_id
    LEFT JOIN follow ON follow.follow_no = held_assignment.follow_no
    WHERE held_assignment.follow_no IS NULL OR follow.status IN ('active', 'half')
    GROUP BY held_assignment.tag_id, held_assignment.customer_no
) AS holder
GROUP BY tag_id

-- Every tag with its present holders, and the interval in which the newest of their assignments was given:
-- not after last_given_certain, not before last_given_possible.
SELECT
    tag.tag_id,
    tag.group_name,
    tag.tag_name,
    tag.created_at,
    tag.valid_until,
    tag.valid_to,
    tag.is_protected,
    tag.class,
    coalesce(held.holders, 0) AS holders,
    coalesce(held.all_holders - held.holders, 0) AS former_holders,
    coalesce(held.holding_follows, 0) AS holding_follows,
    held.held_by_rule,
    held.last_given_certain,
    held.last_given_possible
FROM (
    -- The latest name of each tag.
    SELECT
        *,
        row_number() OVER (PARTITION BY tag_id ORDER BY valid_from DESC) AS place
    FROM tag
) AS tag
LEFT JOIN (
    SELECT
        tag_id,
        count(DISTINCT customer_no) AS all_holders,
        count(DISTINCT customer_no) FILTER (WHERE is_current) AS holders,
        count(DISTINCT follow_no) FILTER (WHERE is_current) AS holding_follows,
        min(CASE WHEN is_current AND source LIKE 'rule:%' THEN source END) AS held_by_rule,
        max(given_by) FILTER (WHERE is_current) AS last_given_certain,
        max(given_after) FILTER (WHERE is_current) AS last_given_possible
    FROM (
        -- A follow that has left or ended keeps its last tags, and is followed no more; a customer's own tags stay its
        -- own.
        SELECT
            held_assignment.tag_id,
            held_assignment.customer_no,
            held_assignment.follow_no,
            held_assignment.source,
            held_assignment.given_by,
            held_assignment.given_after,
            held_assignment.follow_no IS NULL OR coalesce(follow.status IN ('active', 'half'), false) AS is_current
        FROM held_assignment
        LEFT JOIN follow ON follow.follow_no = held_assignment.follow_no
    ) AS holding
    GROUP BY tag_id
) AS held ON held.tag_id = tag.tag_id
WHERE tag.place = 1
ORDER BY tag.group_name, tag.tag_name, tag.tag_id

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
    coalesce(held.holding_follows, 0) AS holding_follows,
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
        open.tag_id,
        count(DISTINCT open.customer_no) AS holders,
        count(DISTINCT open.follow_no) AS holding_follows,
        max(open.given_by) AS last_given_certain,
        max(open.given_after) AS last_given_possible
    FROM (
        SELECT
            log.tag_id,
            log.customer_no,
            log.follow_no,
            max(coalesce(log.assigned_at, log.seen_by)) AS given_by,
            max(coalesce(log.assigned_at, log.seen_after)) AS given_after
        FROM assignment_log AS log
        GROUP BY log.tag_id, log.customer_no, log.follow_no, log.source
        HAVING sum(CASE log.op WHEN 'open' THEN 1 WHEN 'close' THEN -1 ELSE 0 END) > 0
    ) AS open
    GROUP BY open.tag_id
) AS held ON held.tag_id = tag.tag_id
WHERE tag.place = 1
ORDER BY tag.group_name, tag.tag_name, tag.tag_id

-- The assignment log as intervals: one row for each time a tag was held by a source on a follow or a customer.
-- closed_after and closed_by are NULL while the tag is held.
SELECT
    customer_no,
    follow_no,
    tag_id,
    source,
    assigned_at,
    seen_after AS opened_after,
    seen_by AS opened_by,
    next_after AS closed_after,
    next_by AS closed_by,
    next_op IS NULL AS is_held
FROM (
    SELECT
        customer_no,
        follow_no,
        tag_id,
        source,
        op,
        assigned_at,
        seen_after,
        seen_by,
        lead(op) OVER one_tag AS next_op,
        lead(seen_after) OVER one_tag AS next_after,
        lead(seen_by) OVER one_tag AS next_by
    FROM assignment_log
    WHERE op IN ('open', 'close')
    WINDOW one_tag AS (PARTITION BY customer_no, follow_no, tag_id, source ORDER BY snapshot_id)
) AS step
WHERE op = 'open'

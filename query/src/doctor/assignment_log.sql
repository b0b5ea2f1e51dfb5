-- The log by itself. The steps of a tag on a follow or a customer by a source are an open, then renewals and a close,
-- then the next open; a snapshot writes one of them at most, since steps are in the order of their snapshots.
SELECT
    fault,
    count(*) AS found,
    min(example) AS example
FROM (
    SELECT
        CASE
            WHEN op NOT IN ('open', 'renew', 'close') THEN 'op that is no step'
            WHEN snapshot_id = last_id THEN 'steps of one assignment in one snapshot, so that their order is lost'
            WHEN op = 'open' AND last_op IN ('open', 'renew') THEN 'assignments opened while they were held'
            WHEN op = 'renew' AND coalesce(last_op, 'close') = 'close' THEN 'assignments renewed without being held'
            WHEN op = 'close' AND coalesce(last_op, 'close') = 'close' THEN 'assignments closed without being held'
            WHEN seen_after > seen_by THEN 'seen_after that is later than seen_by'
        END AS fault,
        concat(tag_id, ' by ', source, ' on customer_no ', CAST(customer_no AS VARCHAR)) AS example
    FROM (
        SELECT
            customer_no,
            tag_id,
            source,
            op,
            snapshot_id,
            seen_after,
            seen_by,
            lag(op) OVER one_tag AS last_op,
            lag(snapshot_id) OVER one_tag AS last_id
        FROM assignment_log
        WINDOW one_tag AS (PARTITION BY customer_no, follow_no, tag_id, source ORDER BY snapshot_id)
    ) AS step
) AS judged
WHERE fault IS NOT NULL
GROUP BY fault

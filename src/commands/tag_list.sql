-- Every tag that was ever listed, with the customers who hold it now; the caller adds WHERE and ORDER BY.
SELECT
    tag.tag_id,
    tag.group_name,
    tag.tag_name,
    tag.kind,
    tag.class,
    coalesce(held.customers, 0) AS customers,
    tag.created_at,
    tag.valid_from,
    tag.valid_to
FROM tag
LEFT JOIN (
    SELECT
        tag_id,
        count(DISTINCT customer_no) AS customers
    FROM held_assignment
    GROUP BY tag_id
) AS held ON held.tag_id = tag.tag_id

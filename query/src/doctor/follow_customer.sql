-- Follows of customers that are not there.
SELECT
    'customer_no that no customer has' AS fault,
    count(*) AS found,
    CAST(min(followed.customer_no) AS VARCHAR) AS example
FROM (SELECT DISTINCT customer_no FROM follow) AS followed
LEFT JOIN customer ON customer.customer_no = followed.customer_no
WHERE customer.customer_no IS NULL

-- Events of customers that are not there.
SELECT
    'customer_no that no customer has' AS fault,
    count(*) AS found,
    CAST(min(told.customer_no) AS VARCHAR) AS example
FROM (SELECT DISTINCT customer_no FROM event) AS told
LEFT JOIN customer ON customer.customer_no = told.customer_no
WHERE customer.customer_no IS NULL

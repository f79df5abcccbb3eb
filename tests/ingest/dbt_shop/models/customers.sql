select k.customer_id, k.email, sum(o.amount) as lifetime_value, count(*) as orders
from {{ ref('known_customers') }} as k
join {{ ref('orders') }} as o on o.customer_id = k.customer_id
group by k.customer_id, k.email

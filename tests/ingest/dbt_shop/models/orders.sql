select id as order_id, customer_id, cast(amount as decimal(10, 2)) as amount, ordered_on
from {{ source('landing', 'raw_orders') }}

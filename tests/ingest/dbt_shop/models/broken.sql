select order_id, nowhere from {{ ref('orders') }}

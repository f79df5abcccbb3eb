{{ config(materialized='view', tags=['regional']) }}
-- depends_on: {{ ref('raw_customers') }}
select c.email, c.lifetime_value from {{ ref('customers') }} as c

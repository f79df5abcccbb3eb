{{ config(materialized='ephemeral') }}
select id as customer_id, lower(email) as email, country from {{ ref('raw_customers') }} where email is not null

{{ config(materialized='incremental', unique_key='ordered_on', incremental_strategy='delete+insert') }}
select ordered_on, sum(amount) as takings from {{ ref('orders') }}
{% if is_incremental() %} where ordered_on >= (select max(ordered_on) from {{ this }}) {% endif %}
group by ordered_on

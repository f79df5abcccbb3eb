"""A DAG that extracts orders into a file and loads them into a mart."""

import datetime as dt

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset

raw = Asset("file:///srv/data/raw_orders.csv")
mart = Asset("file:///srv/data/mart_orders.csv")

with DAG(
    "orders_daily",
    schedule="0 3 * * *",
    start_date=dt.datetime(2024, 1, 1),
    catchup=False,
    default_args={"owner": "team-finance"},
    tags=["finance"],
):
    extract = BashOperator(task_id="extract", bash_command="echo hi", outlets=[raw], doc_md="Extracts the orders")
    load = PythonOperator(task_id="load", python_callable=lambda: 42, inlets=[raw], outlets=[mart])
    extract >> load

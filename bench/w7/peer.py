import os

import psycopg2

with psycopg2.connect(os.environ["DATABASE_URL"]) as db, db.cursor("orders") as rows:
    rows.execute("SELECT id, status, total, made FROM bench_orders")
    count = total = 0
    for number, status, _, _ in rows:
        if status == "paid":
            count, total = count + 1, total + number
total = (total + 2**63) % 2**64 - 2**63       # as 64-bit integers have it
print(f"answer: {count} paid, sum {total}")

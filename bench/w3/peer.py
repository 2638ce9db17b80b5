import os

import redis

client = redis.Redis.from_url(os.environ["REDIS_URL"])
cursor, count = 0, 0
while True:
    cursor, keys = client.scan(cursor, count=1000)
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.ttl(key)
    count += sum(ttl == -1 for ttl in pipeline.execute())
    if cursor == 0:
        break
print(f"answer: {count} never expire")

import collections
import json
import os

begin, end = os.environ["BENCH_FROM"], os.environ["BENCH_TO"]
messages = collections.Counter()
with open(os.environ["BENCH_LOG"], encoding="utf-8") as log:
    for line in log:
        if '"level":"error"' in line:
            entry = json.loads(line)
            if begin <= entry["time"] < end:
                messages[entry["message"]] += 1
message, count = messages.most_common(1)[0]
print(f"answer: {messages.total()} errors, {count} times {message}")

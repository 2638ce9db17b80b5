import os
from concurrent.futures import ThreadPoolExecutor

import requests

base, total = os.environ["BENCH_CHECKS_URL"], int(os.environ["BENCH_CHECKS"])
session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=50))


def is_healthy(number):
    answer = session.get(f"{base}/services/{number}/health", timeout=10)
    return answer.status_code == 200 and answer.json()["status"] == "healthy"


with ThreadPoolExecutor(50) as pool:
    print(f"answer: {sum(pool.map(is_healthy, range(1, total + 1)))} healthy")

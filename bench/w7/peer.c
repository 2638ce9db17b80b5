/* Single row mode. */
#include <libpq-fe.h>

#include "peer.h"

int main(void) {
  PGconn *db = connect_database();
  long count = 0, sum = 0;
  if (!PQsendQuery(db, "SELECT id, status, total, made FROM bench_orders") || !PQsetSingleRowMode(db)) die("send");
  for (PGresult *row; (row = PQgetResult(db)) != NULL; PQclear(row)) {
    if (PQresultStatus(row) == PGRES_TUPLES_OK) continue;
    if (PQresultStatus(row) != PGRES_SINGLE_TUPLE) die(PQerrorMessage(db));
    if (strcmp(PQgetvalue(row, 0, 1), "paid") == 0) {
      count++;
      sum = (long)((unsigned long)sum + strtoul(PQgetvalue(row, 0, 0), NULL, 10));
    }
  }
  PQfinish(db);
  printf("answer: %ld paid, sum %ld\n", count, sum);
  return 0;
}

// An S3 server of the lab: s3rver on a socket that is handed over. Who does not give its key is turned away;
// signatures of version 4 are not checked, s3rver cannot.
// usage: node server.js MODULES SETTINGS, the listening socket is descriptor 3
"use strict";
const fs = require("fs");
const http = require("http");
const path = require("path");

const [modules, file] = process.argv.slice(2);
const settings = JSON.parse(fs.readFileSync(file, "utf8"));
const S3rver = require(path.join(modules, "s3rver"));
const { DUMMY_ACCOUNT } = require(path.join(modules, "s3rver/lib/models/account"));

DUMMY_ACCOUNT.revokeAccessKey("S3RVER");
DUMMY_ACCOUNT.createKeyPair(settings.key, settings.secret);
process.umask(0o077);

const store = new S3rver({
  directory: settings.directory, silent: true, vhostBuckets: false,
  configureBuckets: [{ name: settings.bucket, configs: [] }],
});
const answer = store.callback();
const log = fs.createWriteStream(settings.log, { flags: "a" });

store.configureBuckets().then(() => {
  http.createServer((request, response) => {
    log.write(`${request.method} ${request.url}\n`);
    if (!request.headers.authorization) {
      response.writeHead(403, { "content-type": "application/xml" });
      response.end("<Error><Code>AccessDenied</Code><Message>Sign your request</Message></Error>");
      return;
    }
    answer(request, response);
  }).listen({ fd: 3 });
});

--- What of http is composed of other effects: each function returns what its face iterates over.
local pages = require "runtime.http.pages"

return { pages = pages.open }

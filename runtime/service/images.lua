--- Releases of a compose service that are images: the tags of one repository in the engine's own store. The tag that
--- the compose file names is moved, and the containers are made anew from it. Pure.
local releases = require "runtime.service.releases"
local images = {}

--- The tag that the compose file names.
local function moving(settings)
  return settings.tag or "latest"
end

--- Every image of the repository: {id, tag, time}.
local function stored(settings, look)
  local list = {}
  for i, row in ipairs(look({ "docker", "image", "ls", "--no-trunc", "--format", "{{json .}}", "--", settings.image }):rows()) do
    list[i] = { id = row.ID, tag = row.Tag, time = releases.time(row.CreatedAt) }
  end
  return list
end

--- The release that containers run: a tag of their image, or the image's own id where only the moving tag had it.
---@param containers string[] ids
function images.current(settings, containers, look)
  if #containers == 0 then
    return nil
  end
  local argv = { "docker", "inspect", "--type=container", "--format", "{{.Image}}", "--" }
  local id = look(table.move(containers, 1, #containers, #argv + 1, argv)):lines()[1]
  for _, image in ipairs(stored(settings, look)) do
    if image.id == id and image.tag ~= moving(settings) and image.tag ~= "<none>" then
      return image.tag
    end
  end
  return id
end

--- What there is, newest first, the moving tag left out.
function images.list(settings, current, look, limit)
  local rows = {}
  for _, image in ipairs(stored(settings, look)) do
    if image.tag ~= moving(settings) and image.tag ~= "<none>" then
      rows[#rows + 1] = {
        id = image.tag, time = image.time, state = "ready", serves = image.tag == current, text = image.id:sub(1, 19),
      }
    end
  end
  return releases.newest(rows, limit)
end

--- The command that moves the tag.
---@param id string a tag, or an image's id
function images.steps(settings, id)
  local from = id:find "^sha256:" and id or ("%s:%s"):format(settings.image, id)
  return { { argv = { "docker", "tag", from, ("%s:%s"):format(settings.image, moving(settings)) } } }
end

return images

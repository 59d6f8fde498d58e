-- What pandoc's own Typst lacks: the boxes and references that book.typ draws, chapter digits, and words for formulas.

local boxes = { admonition = "#admonition[", back = "#back[", citation = "#citation[", math = "#formula[" }

local function typst(text)
  return pandoc.RawBlock("typst", text)
end

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0"):gsub("\n", " ") .. '"'
end

function Div(div)
  for _, class in ipairs(div.classes) do
    if boxes[class] then
      local blocks = pandoc.Blocks { typst(boxes[class]) }
      blocks:extend(div.content)
      blocks:insert(typst(div.identifier == "" and "]" or "] <" .. div.identifier .. ">"))
      return blocks
    end
  end
end

function Table(table)
  local whole = #table.bodies[1].body < 16 and "#whole[" or "#["
  local dense = table.classes:includes("dense") and "#dense[" or "#["
  return { typst(whole .. dense), table, typst("]]") }
end

function Header(header)
  if header.level == 1 then
    local digit = header.attributes.digit
    header.attributes = {}
    return { typst("#digit.update(" .. (digit and quoted(digit) or "none") .. ")"), header }
  end
end

function Link(link)
  if link.classes:includes("page") then
    local inlines = pandoc.Inlines { pandoc.RawInline("typst", "#page-of(<" .. link.target:sub(2) .. ">)[") }
    inlines:extend(link.content)
    inlines:insert(pandoc.RawInline("typst", "]"))
    return inlines
  end
end

-- A reader who listens hears the TeX, as on the site.
function Math(math)
  local formula = pandoc.write(pandoc.Pandoc { pandoc.Plain { math } }, "typst"):gsub("%s+$", "")
  return pandoc.RawInline("typst", "#described(" .. quoted(math.text) .. ", " .. formula .. ")")
end

function Image(image)
  local words = quoted(pandoc.utils.stringify(image.caption))
  return pandoc.RawInline("typst", '#image("' .. image.src .. '", width: ' .. image.attributes.width .. ", alt: " .. words .. ")")
end

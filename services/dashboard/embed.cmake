# cmake -DOUT=FILE.cpp -DFOLDER=DIR -DFILES=a.js,b.css -P embed.cmake: a C++ file that holds the contents of the
# page's files, with content type and entity tag.
string(REPLACE "," ";" FILES "${FILES}")
set(arrays "")
set(rows "")
set(number 0)
foreach(name IN LISTS FILES)
  file(READ "${FOLDER}/${name}" hex HEX)
  file(SHA256 "${FOLDER}/${name}" digest)
  string(SUBSTRING "${digest}" 0 16 tag)
  string(LENGTH "${hex}" digits)
  math(EXPR bytes "${digits} / 2")
  string(REGEX REPLACE "(................................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes_text "${hex}")
  if(name MATCHES "\\.html$")
    set(type "text/html; charset=utf-8")
  elseif(name MATCHES "\\.css$")
    set(type "text/css; charset=utf-8")
  elseif(name MATCHES "\\.js$")
    set(type "text/javascript; charset=utf-8")
  elseif(name MATCHES "\\.svg$")
    set(type "image/svg+xml")
  else()
    message(FATAL_ERROR "${name}: no content type is known for it")
  endif()
  string(APPEND arrays "constexpr char kFile${number}[] = {\n${bytes_text}};\n")
  string(APPEND rows "    File{\"${name}\", \"${type}\", \"\\\"${tag}\\\"\", {kFile${number}, ${bytes}}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}.new" "// Made by services/dashboard/embed.cmake.
#include \"services/dashboard/files.h\"

namespace mdgen::dashboard {
namespace {

${arrays}
constexpr File kFiles[] = {
${rows}};

}  // namespace

std::span<const File> files() { return kFiles; }

}  // namespace mdgen::dashboard
")
file(RENAME "${OUT}.new" "${OUT}")

// The dashboard's files, compiled into the program (embed.cmake). Constant; thread-safe.
#pragma once

#include <span>
#include <string_view>

namespace mdgen::dashboard {

struct File {
  std::string_view name;  // in services/dashboard/page: "index.html"
  std::string_view content_type;
  std::string_view etag;  // of the content, with its quotes
  std::string_view content;
};

std::span<const File> files();

// What a request for this path gets: "/" the page, "/dashboard/NAME" the file. Null: there is none.
const File* find(std::string_view path);

// For every answer with one of these files: nothing is loaded from elsewhere, nothing inline is run, and no
// other site may frame the page.
inline constexpr std::string_view kContentSecurityPolicy =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// Whether a client that sent this If-None-Match has the file with this entity tag.
bool has_current(std::string_view if_none_match, std::string_view etag);

}  // namespace mdgen::dashboard

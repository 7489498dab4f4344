#include "services/coordinator/http_dashboard.h"

#include <httplib.h>

#include <string>

#include "services/dashboard/files.h"

namespace mdgen::coordinator {
namespace {

void serve_file(const httplib::Request& request, httplib::Response& response) {
  const dashboard::File* file = dashboard::find(request.path);
  if (file == nullptr) {
    response.status = 404;  // the server's error handler says what was not found
    return;
  }
  response.set_header("ETag", std::string(file->etag));
  response.set_header("Cache-Control", "no-cache");
  response.set_header("Content-Security-Policy", std::string(dashboard::kContentSecurityPolicy));
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Referrer-Policy", "no-referrer");
  if (dashboard::has_current(request.get_header_value("If-None-Match"), file->etag)) {
    response.status = 304;
    return;
  }
  response.set_content(file->content.data(), file->content.size(), std::string(file->content_type));
}

}  // namespace

void add_dashboard_routes(httplib::Server& server) {
  server.Get("/", serve_file);
  server.Get("/dashboard/.+", serve_file);
}

}  // namespace mdgen::coordinator

#include "services/coordinator/http_dashboard.h"

#include <httplib.h>

#include <string>

#include "core/base/text.h"
#include "services/dashboard/files.h"

namespace mdgen::coordinator {
namespace {

HttpReply file_reply(const HttpRequest& request) {
  const dashboard::File* file = dashboard::find(request.raw.path);
  if (file == nullptr) throw HttpError(404, "NotFound", "there is nothing at " + to_utf8(request.raw.path));
  HttpReply reply{.type = std::string(file->content_type), .body = std::string(file->content)};
  reply.headers = {{"ETag", std::string(file->etag)},
                   {"Content-Security-Policy", std::string(dashboard::kContentSecurityPolicy)}};
  return reply;
}

}  // namespace

void add_dashboard_pages(HttpRouter& router) {
  router.add_page("/", file_reply);
  router.add_page("/dashboard/*", file_reply);
}

}  // namespace mdgen::coordinator

// The dashboard's files over HTTP. They hold no data, so everybody may have them.
#pragma once

namespace httplib {
class Server;
}

namespace mdgen::coordinator {

// GET / and /dashboard/*.
void add_dashboard_routes(httplib::Server& server);

}  // namespace mdgen::coordinator

// The dashboard's files over HTTP. They hold no data, so everybody may have them.
#pragma once

#include "services/coordinator/http_router.h"

namespace mdgen::coordinator {

// GET / and /dashboard/*.
void add_dashboard_pages(HttpRouter& router);

}  // namespace mdgen::coordinator

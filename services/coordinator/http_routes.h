// The handlers of the HTTP API: they translate, and decide nothing.
#pragma once

#include "services/coordinator/frontend.h"
#include "services/coordinator/http_router.h"

namespace mdgen::coordinator {

void bind_job_lookups(HttpRouter& router, Frontend& frontend);
void bind_job_changes(HttpRouter& router, Frontend& frontend);
void bind_pool(HttpRouter& router, Frontend& frontend);
void bind_probes(HttpRouter& router, Frontend& frontend);
void bind_access(HttpRouter& router, const HttpAccess& access);

}  // namespace mdgen::coordinator

#include <pmix.h>

#include <cstring>

#include "core/base/error.h"
#include "core/base/log.h"
#include "launcher/wireup.h"

namespace mdgen::launcher {
namespace {

constexpr const char* kKey = "mdgen.coordinator";

void check(pmix_status_t status, const char* what) {
  if (status == PMIX_SUCCESS) return;
  throw Error(ErrorCode::kUnavailable, std::string(what) + ": " + PMIx_Error_string(status));
}

class PmixWireup : public Wireup {
 public:
  explicit PmixWireup(const pmix_proc_t& self) : self_(self) {}
  // mpirun takes a process that leaves without this for a crashed one.
  ~PmixWireup() override { PMIx_Finalize(nullptr, 0); }

  Handover share(const std::optional<Handover>& own) override {
    if (own) put(to_text(*own));
    check(PMIx_Commit(), "PMIx_Commit");
    pmix_info_t collect;
    bool yes = true;
    PMIX_INFO_CONSTRUCT(&collect);
    PMIX_INFO_LOAD(&collect, PMIX_COLLECT_DATA, &yes, PMIX_BOOL);
    pmix_proc_t all;
    PMIX_PROC_LOAD(&all, self_.nspace, PMIX_RANK_WILDCARD);
    check(PMIx_Fence(&all, 1, &collect, 1), "PMIx_Fence");
    return handover_from_text(get());
  }

 private:
  static void put(const std::string& text) {
    pmix_value_t value;
    PMIX_VALUE_CONSTRUCT(&value);
    PMIX_VALUE_LOAD(&value, text.c_str(), PMIX_STRING);
    const pmix_status_t status = PMIx_Put(PMIX_GLOBAL, kKey, &value);
    PMIX_VALUE_DESTRUCT(&value);
    check(status, "PMIx_Put");
  }

  std::string get() const {
    pmix_proc_t first;
    PMIX_PROC_LOAD(&first, self_.nspace, 0);
    pmix_value_t* value = nullptr;
    check(PMIx_Get(&first, kKey, nullptr, 0, &value), "PMIx_Get");
    const std::string text = value->type == PMIX_STRING ? value->data.string : "";
    PMIX_VALUE_RELEASE(value);
    return text;
  }

  pmix_proc_t self_;
};

}  // namespace

std::unique_ptr<Wireup> pmix_wireup(const Environment& environment, const Place& place) {
  if (!environment.contains("PMIX_NAMESPACE") || !environment.contains("PMIX_RANK")) return nullptr;
  pmix_proc_t self;
  if (const pmix_status_t status = PMIx_Init(&self, nullptr, 0); status != PMIX_SUCCESS) {
    spdlog::warn("no PMIx here ({})", PMIx_Error_string(status));
    return nullptr;
  }
  if (static_cast<int>(self.rank) != place.rank) {
    PMIx_Finalize(nullptr, 0);
    throw Error(ErrorCode::kInvalidArgument, "PMIx gives rank " + std::to_string(self.rank) + ", " +
                                                 launcher_name(place.launcher) + " rank " +
                                                 std::to_string(place.rank));
  }
  return std::make_unique<PmixWireup>(self);
}

}  // namespace mdgen::launcher

#include "core/train/loop.h"

#include "core/train/session.h"

namespace mdgen::train {

v1::FinishReport run(const v1::Assignment& assignment, comm::Collective& collective, at::Device device,
                     RunObserver& observer, const RunControl& control, const Clock& clock) {
  return Session(assignment, device, observer, control, clock).run_alone(assignment, collective);
}

}  // namespace mdgen::train

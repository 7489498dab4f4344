#include "core/format/xtc_writer.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/error.h"
#include "core/format/chemfiles_api.h"
#include "core/format/partial_file.h"
#include "core/format/whole_frames.h"

namespace mdgen::format {
namespace {

constexpr double kFarthest = 1e7;  // Å

struct Free {
  void operator()(const void* object) const { chfl_free(object); }
};
struct Close {
  void operator()(const CHFL_TRAJECTORY* trajectory) const { chfl_trajectory_close(trajectory); }
};

}  // namespace

struct XtcWriter::State {
  PartialFile file;
  std::unique_ptr<CHFL_TRAJECTORY, Close> trajectory;
  std::uint64_t frames = 0;
  std::uint64_t atoms = 0;

  [[noreturn]] void fail(ErrorCode code, const std::string& reason) const {
    throw Error(code, file.file().string() + ": frame " + std::to_string(frames) + ": " + reason);
  }
  void check(chfl_status status) const {
    if (status != 0) fail(ErrorCode::kUnavailable, chfl_last_error());
  }
};

XtcWriter::XtcWriter(const std::filesystem::path& file) : state_(new State{PartialFile(file), nullptr}) {
  state_->trajectory.reset(chfl_trajectory_with_format(state_->file.path().c_str(), 'w', "XTC"));
  if (state_->trajectory == nullptr) state_->fail(ErrorCode::kUnavailable, chfl_last_error());
}

XtcWriter::~XtcWriter() = default;

void XtcWriter::append(std::span<const std::array<double, 3>> positions, double time) {
  if (state_->frames > 0 && positions.size() != state_->atoms)
    state_->fail(ErrorCode::kInternal,
                 std::to_string(positions.size()) + " atoms, frame 0 has " + std::to_string(state_->atoms));
  state_->atoms = positions.size();
  const std::unique_ptr<CHFL_FRAME, Free> frame(chfl_frame());
  state_->check(chfl_frame_resize(frame.get(), positions.size()));
  chfl_vector3d* target = nullptr;
  std::uint64_t atoms = 0;
  state_->check(chfl_frame_positions(frame.get(), &target, &atoms));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double value = positions[i][axis];
      if (!(std::abs(value) <= kFarthest))
        state_->fail(ErrorCode::kInvalidArgument, "atom " + std::to_string(i) + ": the coordinate " +
                                                      std::to_string(value) + " Å cannot be written");
      target[i][axis] = value;
    }
  }
  state_->check(chfl_frame_set_step(frame.get(), state_->frames));
  const std::unique_ptr<CHFL_PROPERTY, Free> when(chfl_property_double(time));
  state_->check(chfl_frame_set_property(frame.get(), "time", when.get()));
  state_->check(chfl_trajectory_write(state_->trajectory.get(), frame.get()));
  ++state_->frames;
}

void XtcWriter::publish() {
  state_->trajectory.reset();
  if (state_->frames == 0) state_->fail(ErrorCode::kInternal, "there is none to write");
  // The library says nothing of a disk that was full when it closed the file.
  if (count_whole_frames(state_->file.path(), ".xtc") != state_->frames)
    state_->fail(ErrorCode::kUnavailable, "not all frames have reached the disk");
  state_->file.publish();
}

}  // namespace mdgen::format

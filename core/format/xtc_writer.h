// GROMACS' compressed trajectories (XTC), through chemfiles. No LibTorch.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <span>

namespace mdgen::format {

// Positions are kept to 0.001 nm, XTC's usual precision (those of nine atoms or fewer to float32). Nobody
// sees the file before publish(). Throws Error naming file and frame. One thread at a time for each object;
// different objects are independent.
class XtcWriter {
 public:
  explicit XtcWriter(const std::filesystem::path& file);
  ~XtcWriter();
  XtcWriter(const XtcWriter&) = delete;
  XtcWriter& operator=(const XtcWriter&) = delete;

  // Positions in Å, as many in each frame; `time` in ps. There is no box. Throws Error(kInvalidArgument) for
  // a coordinate that is not finite or beyond 10^7 Å, which the format's integers cannot hold.
  void append(std::span<const std::array<double, 3>> positions, double time);
  void publish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::format

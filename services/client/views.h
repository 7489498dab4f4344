// How a followed job looks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>

#include "services/client/follow.h"

namespace mdgen::client {

// A line for each change, for logs and pipes.
class LineView : public FollowView {
 public:
  explicit LineView(std::ostream& out) : out_(out) {}
  void on_transition(const v1::Transition& transition) override;
  void on_progress(const v1::Job& job) override;
  void on_note(const std::string& text) override;
  void on_end(const v1::Job& job) override;

 private:
  std::ostream& out_;
  std::int64_t last_step_ = 0;
};

// One line that is written over, for terminals; state changes stay above it.
class TerminalView : public FollowView {
 public:
  TerminalView(std::ostream& out, std::size_t columns) : out_(out), columns_(columns) {}
  void on_transition(const v1::Transition& transition) override;
  void on_progress(const v1::Job& job) override;
  void on_note(const std::string& text) override;
  void on_end(const v1::Job& job) override;

 private:
  void keep(const std::string& line);
  std::ostream& out_;
  std::size_t columns_;
};

}  // namespace mdgen::client

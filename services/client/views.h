// How a followed job looks, and what is drawn over again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>

#include "services/client/follow.h"
#include "services/client/look.h"

namespace mdgen::client {

// A line for each change, for logs and pipes.
class LineView : public FollowView {
 public:
  LineView(std::ostream& out, const Look& look) : out_(out), look_(look) {}
  void on_transition(const v1::Transition& transition) override;
  void on_progress(const v1::Job& job) override;
  void on_note(const std::string& text) override;
  void on_end(const v1::Job& job) override;

 private:
  std::ostream& out_;
  Look look_;
  std::int64_t last_step_ = 0;
};

// One line with a bar that is written over, for terminals; state changes stay above it.
class TerminalView : public FollowView {
 public:
  // `look` is asked at each line: a terminal's width changes.
  TerminalView(std::ostream& out, std::function<Look()> look) : out_(out), look_(std::move(look)) {}
  void on_transition(const v1::Transition& transition) override;
  void on_progress(const v1::Job& job) override;
  void on_note(const std::string& text) override;
  void on_end(const v1::Job& job) override;

 private:
  void keep(const std::string& line);
  std::ostream& out_;
  std::function<Look()> look_;
};

// A terminal's whole screen, drawn over and over.
class Screen {
 public:
  explicit Screen(std::ostream& out) : out_(out) {}
  // Lines are cut to the width and those below the last row are left out, with a word that they are.
  void draw(const std::string& text, const Look& look);

 private:
  std::ostream& out_;
  bool is_drawn_ = false;
};

}  // namespace mdgen::client

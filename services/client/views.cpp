#include "services/client/views.h"

#include <sstream>
#include <vector>

#include "services/budget/budget.h"
#include "services/client/format.h"

namespace mdgen::client {
namespace {

constexpr const char* kClearLine = "\r\x1b[K";
constexpr const char* kClearScreen = "\x1b[2J";
constexpr const char* kHome = "\x1b[H";
constexpr const char* kClearBelow = "\x1b[J";

}  // namespace

void LineView::on_transition(const v1::Transition& transition) {
  out_ << transition_text(transition, look_) << std::endl;
}

void LineView::on_progress(const v1::Job& job) {
  if (job.step() == last_step_) return;
  last_step_ = job.step();
  out_ << progress_text(job) << std::endl;
}

void LineView::on_note(const std::string& text) { out_ << text << std::endl; }

void LineView::on_end(const v1::Job& job) {
  if (const std::string budget = budget_text(job); !budget.empty()) out_ << budget << std::endl;
  out_ << outcome_text(job, look_) << std::endl;
}

void TerminalView::keep(const std::string& line) { out_ << kClearLine << line << std::endl; }

void TerminalView::on_transition(const v1::Transition& transition) {
  keep(transition_text(transition, look_()));
}

void TerminalView::on_progress(const v1::Job& job) {
  out_ << kClearLine << bar_text(job, look_()) << std::flush;
}

void TerminalView::on_note(const std::string& text) { keep(text); }

void TerminalView::on_end(const v1::Job& job) {
  if (job.step() > 0) keep(progress_text(job));
  if (const std::string budget = budget_text(job); !budget.empty()) keep(budget);
  keep(outcome_text(job, look_()));
}

void Screen::draw(const std::string& text, const Look& look) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  const std::size_t rows = look.rows > 2 ? look.rows - 1 : lines.size();
  if (lines.size() > rows) {
    const std::size_t hidden = lines.size() - rows + 1;
    lines.resize(rows - 1);
    lines.push_back("… " + std::to_string(hidden) + " more lines");
  }
  std::string frame = is_drawn_ ? "" : kClearScreen;
  frame += kHome;
  const std::size_t columns = look.columns > 0 ? look.columns - 1 : 0;  // a full line would wrap
  for (const std::string& line : lines) frame += fitted(line, columns) + "\x1b[K\n";
  is_drawn_ = true;
  out_ << frame << kClearBelow << std::flush;
}

}  // namespace mdgen::client

#include "services/client/views.h"

#include "services/client/format.h"

namespace mdgen::client {
namespace {

constexpr const char* kClearLine = "\r\x1b[K";

}  // namespace

void LineView::on_transition(const v1::Transition& transition) {
  out_ << transition_text(transition) << std::endl;
}

void LineView::on_progress(const v1::Job& job) {
  if (job.step() == last_step_) return;
  last_step_ = job.step();
  out_ << progress_text(job) << std::endl;
}

void LineView::on_note(const std::string& text) { out_ << text << std::endl; }

void LineView::on_end(const v1::Job& job) { out_ << outcome_text(job) << std::endl; }

void TerminalView::keep(const std::string& line) { out_ << kClearLine << line << std::endl; }

void TerminalView::on_transition(const v1::Transition& transition) { keep(transition_text(transition)); }

void TerminalView::on_progress(const v1::Job& job) {
  std::string line = state_name(job.state());
  if (job.step() > 0) {
    line += "  " + progress_text(job);
  } else if (job.state() == v1::JOB_STATE_VALIDATING) {
    line += "  " + one_line(job.message());
  }
  // A line that wraps cannot be written over.
  out_ << kClearLine << line.substr(0, columns_ - 1) << std::flush;
}

void TerminalView::on_note(const std::string& text) { keep(text); }

void TerminalView::on_end(const v1::Job& job) {
  if (job.step() > 0) keep(progress_text(job));
  keep(outcome_text(job));
}

}  // namespace mdgen::client

#include "core/prep/console.h"

#include <spdlog/spdlog.h>

#include <cstdio>

namespace mdgen::prep {

Console::Console(Progress progress, bool terminal, const Clock& clock)
    : progress_(progress), terminal_(terminal), clock_(clock), last_(clock.steady()) {}

Console::~Console() { clear(); }

void Console::update(const std::function<void(Progress&)>& change) {
  const std::lock_guard lock(mutex_);
  change(progress_);
  draw(false);
}

void Console::info(const std::string& text) { say(spdlog::level::info, text); }
void Console::warn(const std::string& text) { say(spdlog::level::warn, text); }
void Console::error(const std::string& text) { say(spdlog::level::err, text); }

void Console::say(int level, const std::string& text) {
  const std::lock_guard lock(mutex_);
  clear();
  spdlog::log(static_cast<spdlog::level::level_enum>(level), "{}", text);
  if (terminal_) draw(true);
}

void Console::draw(bool now) {
  constexpr std::chrono::milliseconds kRedraw(200);
  constexpr std::chrono::seconds kLine(30);
  const Clock::Steady time = clock_.steady();
  if (!now && time - last_ < (terminal_ ? std::chrono::milliseconds(kRedraw) : kLine)) return;
  last_ = time;
  const std::string text = progress_.text(time);
  if (!terminal_) {
    spdlog::info("{}", text);
    return;
  }
  std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void Console::clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace mdgen::prep

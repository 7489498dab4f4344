#include "services/version/version.h"

#include <charconv>
#include <cstdlib>

namespace mdgen::version {
namespace {

// Takes a number without a sign from the front of `text`.
bool take_number(std::string_view& text, int& number) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return true;
}

bool take_dot(std::string_view& text) {
  if (text.empty() || text.front() != '.') return false;
  text.remove_prefix(1);
  return true;
}

bool is_newer(const Version& a, const Version& b) {
  return a.major != b.major ? a.major > b.major : a.minor > b.minor;
}

}  // namespace

const char* program_version() { return MDGEN_VERSION; }

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  const bool numbers = take_number(text, version.major) && take_dot(text) &&
                       take_number(text, version.minor) && take_dot(text) && take_number(text, version.patch);
  if (!numbers || (!text.empty() && text.front() != '-' && text.front() != '+')) return std::nullopt;
  return version;
}

bool works_with(const Version& a, const Version& b) {
  return a.major == b.major && std::abs(a.minor - b.minor) <= 1;
}

std::optional<std::string> refuse_worker(std::string_view coordinator, std::string_view worker) {
  if (worker.empty()) return std::nullopt;
  const auto own = parse_version(coordinator), other = parse_version(worker);
  const std::string both = "mdgen-worker " + std::string(worker) + " does not work with mdgen-coordinator " +
                           std::string(coordinator);
  if (!own || !other) return both + ": a version is MAJOR.MINOR.PATCH";
  if (works_with(*own, *other)) return std::nullopt;
  return both + ": they may be one minor version apart; install " +
         (is_newer(*own, *other) ? "the newer worker" : "the newer coordinator first");
}

std::optional<std::string> refuse_trainer(std::string_view agent, std::string_view trainer) {
  if (agent == trainer) return std::nullopt;
  return "mdgen-trainer " + (trainer.empty() ? "of an unknown version" : std::string(trainer)) +
         " does not work with mdgen-worker " + std::string(agent) +
         ": they must be equal; install both from one release, or name the right one with --trainer";
}

std::optional<std::string> advise_client(std::string_view client, std::string_view coordinator) {
  const auto own = parse_version(client), other = parse_version(coordinator);
  if (!own || !other || (own->major == other->major && own->minor == other->minor)) return std::nullopt;
  const bool newer = is_newer(*other, *own);
  return "the coordinator is version " + std::string(coordinator) + ", this mdgenctl " + std::string(client) +
         (newer ? ": what is new there cannot be seen from here"
                : ": what is new here is refused there (UNIMPLEMENTED)");
}

}  // namespace mdgen::version

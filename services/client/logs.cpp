#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "core/base/error.h"
#include "services/client/format.h"
#include "services/client/verbs.h"

namespace mdgen::client {
namespace {

constexpr std::int64_t kBytesOfALine = 160;  // a guess; wrong ones cost another look
constexpr std::int64_t kMostTail = 1LL << 30;

v1::StreamLogsRequest request_of(const Options& options, const Surroundings& world) {
  v1::StreamLogsRequest request;
  request.set_id(options.job);
  request.set_rank(options.rank);
  request.set_offset(options.offset);
  if (options.attempt) request.set_attempt(*options.attempt);
  if (options.since.empty()) return request;
  const auto since = parse_since(options.since, world.clock.wall());
  if (!since)
    throw UsageError("--since \"" + options.since +
                     "\" is neither a duration such as 10m nor a time such as "
                     "2026-11-23T09:15:02Z");
  *request.mutable_since() = *since;
  return request;
}

// Where the last `lines` begin in `text`.
std::size_t tail_of(const std::string& text, int lines) {
  std::size_t at = text.empty() || text.back() != '\n' ? text.size() : text.size() - 1;
  for (int left = lines; left > 0; --left) {
    const std::size_t line_end = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
    if (line_end == std::string::npos) return 0;
    at = line_end;
  }
  return at + 1;
}

// The log's end as it is now, and where it goes on.
struct Tail {
  std::string text;
  std::int64_t next_offset = 0;
};

Tail read_end(JobApi& api, v1::StreamLogsRequest request, const Surroundings& world) {
  Tail end;
  request.set_follow(false);
  api.stream_logs(request, [&](const v1::StreamLogsResponse& piece) {
    end.text += piece.text();
    end.next_offset = piece.next_offset();
    return world.out.good();
  });
  return end;
}

Tail last_lines(JobApi& api, v1::StreamLogsRequest request, int lines, const Surroundings& world) {
  for (std::int64_t bytes = std::max(lines, 1) * kBytesOfALine;; bytes *= 8) {
    request.set_tail_bytes(std::min(bytes, kMostTail));
    Tail end = read_end(api, request, world);
    const auto size = static_cast<std::int64_t>(end.text.size());
    const bool has_start = size > 0 && end.next_offset <= size;  // nothing: the last line is longer
    const bool is_all = request.has_since() || has_start || bytes >= kMostTail;
    const std::size_t start = tail_of(end.text, lines);
    if (start == 0 && !is_all) continue;
    end.text.erase(0, start);
    return end;
  }
}

}  // namespace

// With -f the stream is taken up again where it broke off.
ExitCode logs(const Options& options, const Surroundings& world) {
  v1::StreamLogsRequest request = request_of(options, world);
  const auto api = open_api(options, world);
  Patience patience = patience_of(options, std::chrono::seconds(1));
  if (!options.follow) patience.reconnect_for = std::chrono::milliseconds(0);
  Reconnector connection(world, patience, [&](const std::string& text) { world.err << text << std::endl; });
  if (options.tail && options.offset == 0) {
    connection.run([&] {
      const Tail end = last_lines(*api, request, *options.tail, world);
      world.out << end.text << std::flush;
      request.set_offset(end.next_offset);
    });
    if (request.offset() > 0) request.clear_since();
    if (!options.follow) return kExitOk;
  }
  request.set_follow(options.follow);
  const auto take = [&](const v1::StreamLogsResponse& piece) {
    connection.alive();
    world.out << piece.text() << std::flush;
    request.set_offset(piece.next_offset());
    return world.out.good();
  };
  try {
    connection.run([&] { api->stream_logs(request, take); });
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable || request.offset() == 0) throw;
    throw Error(error.code(),
                std::string(error.what()) + "; go on with --offset " + std::to_string(request.offset()));
  }
  return kExitOk;
}

}  // namespace mdgen::client

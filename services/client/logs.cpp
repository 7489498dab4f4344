#include "services/client/verbs.h"

namespace mdgen::client {

// With -f the stream is taken up again where it broke off.
ExitCode logs(const Options& options, const Surroundings& world) {
  const auto api = open_api(options, world);
  v1::StreamLogsRequest request;
  request.set_id(options.job);
  request.set_rank(options.rank);
  request.set_follow(options.follow);
  if (options.attempt) request.set_attempt(*options.attempt);

  Clock::Steady contact = world.clock.steady();
  Patience patience = options.patience;
  patience.reconnect_for = std::chrono::milliseconds(0);  // until the first piece: nothing to come back to
  const auto take = [&](const v1::StreamLogsResponse& piece) {
    contact = world.clock.steady();
    if (options.follow) patience.reconnect_for = options.patience.reconnect_for;
    world.out << piece.text() << std::flush;
    request.set_offset(piece.next_offset());
    return world.out.good();
  };
  with_reconnect(
      world, patience, contact, [&] { api->stream_logs(request, take); },
      [&](const std::string& text) { world.err << text << std::endl; });
  return kExitOk;
}

}  // namespace mdgen::client
